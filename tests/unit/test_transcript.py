"""The runner behind docs/questions notices when a page is not true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.transcript import Step, Transcript, steps

PAGE = """\
Text before.

```console
$ one \\
    --more
first
second
$ cat <<EOF
a $ sign
EOF
$ no such thing  # fails
```

```yaml
$ not: a command
```

```console
$ last
```
"""


def test_steps_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert steps(page) == [
        Step("one \\\n    --more", ("first", "second"), False, 4),
        Step("cat <<EOF\na $ sign\nEOF", (), False, 8),
        Step("no such thing  # fails", (), True, 11),
        Step("last", (), False, 19),
    ]


@pytest.mark.parametrize(("expected", "printed"), [
    ([], "anything"),
    (["NAME READY", "web 1/1"], "NAME    READY\nweb     1/1\n"),
    (["age ...", "end"], "age 5s ago\nend\n"),
    (["first", "...", "last"], "first\nlast\n"),
    (["first", "...", "last"], "first\nx\ny\nlast\n"),
    (["pid (...) of"], "pid (17) of\n"),
    (["a", "", "b"], "a\n\nb\n"),
    (["172.29.0.2 node-1"], "172.29.0.2 node-1\n"),
    (["web-5d4f8c7b9-x2x9z Running"], "web-77bbf5c6d4-9gghj Running\n"),
    (["net:[4026532392] net:[4026532392]"], "net:[4026532999] net:[4026532999]\n"),
])
def test_what_matches(expected: list[str], printed: str) -> None:
    assert Transcript().matches(tuple(expected), printed)


@pytest.mark.parametrize(("expected", "printed"), [
    (["web 1/1"], "web 0/1\n"),
    (["web 1/1"], "web 1/1\nmore\n"),
    (["web 1/1"], "web\n1/1\n"),
    (["web", "..."], "x\nweb\n"),
    (["web"], ""),
    (["172.29.0.2 node-1"], "172.29.0.3 node-1\n"),
    (["10.96.0.10 10.96.0.1"], "10.97.0.10 10.97.0.10\n"),
    (["net:[4026532392] net:[4026532392]"], "net:[4026532999] net:[4026532998]\n"),
    (["net:[4026532392] ipc:[4026532393]"], "net:[4026532999] ipc:[4026532999]\n"),
    (["web-5d4f8c7b9-x2x9z", "web-5d4f8c7b9-k8s5t"], "web-77bbf5c6d4-9gghj\nweb-66bbf5c6d4-8gghj\n"),
])
def test_what_does_not_match(expected: list[str], printed: str) -> None:
    assert not Transcript().matches(tuple(expected), printed)


def test_a_value_is_remembered_between_commands() -> None:
    transcript = Transcript()
    assert transcript.matches(("10.244.0.7",), "10.244.0.31\n")
    assert not transcript.matches(("10.244.0.7",), "10.244.0.32\n")
    assert not transcript.matches(("10.244.0.8",), "10.244.0.31\n"), "the page says that they differ"
    assert transcript.matches(("from 10.244.0.7 to 10.244.0.8",), "from 10.244.0.31 to 10.244.0.32\n")
