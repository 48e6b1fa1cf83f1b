from __future__ import annotations

import random

from sampan.store.base import Entry
from sampan.store.mirror import Mirror, after_prefix, folders


def entry(key: str, revision: int = 1) -> Entry:
    return Entry(key, b"", revision, 1)


def test_folders_of_a_key() -> None:
    assert list(folders("/apps/deployments/a/web")) == ["/", "/apps/", "/apps/deployments/", "/apps/deployments/a/"]


def test_the_first_key_behind_a_prefix() -> None:
    assert after_prefix("/pods/") == "/pods0"
    assert after_prefix("/pods/") > "/pods/\U0010ffff"


def test_a_list_is_the_same_tuple_until_something_under_it_changes() -> None:
    mirror = Mirror([entry("/pods/a/1"), entry("/pods/b/1")], 1)
    whole, of_a = mirror.page("/pods/", 0, "").entries, mirror.page("/pods/a/", 0, "").entries
    mirror.put(entry("/services/a/1", 2))
    assert mirror.page("/pods/", 0, "").entries is whole
    mirror.put(entry("/pods/b/2", 3))
    assert mirror.page("/pods/a/", 0, "").entries is of_a
    assert [e.key for e in mirror.page("/pods/", 0, "").entries] == ["/pods/a/1", "/pods/b/1", "/pods/b/2"]
    mirror.remove("/pods/a/1", 4)
    assert mirror.page("/pods/a/", 0, "").entries == ()
    assert mirror.page("/pods/a/", 0, "").revision == 4


def test_pages_join_to_the_whole_list_and_count_the_rest() -> None:
    rng = random.Random(3)
    keys = sorted({f"/pods/{rng.choice('abc')}/{rng.randrange(500)}" for _ in range(300)})
    mirror = Mirror([entry(key) for key in rng.sample(keys, len(keys))] + [entry("/nodes/1"), entry("/z")], 1)
    seen: list[str] = []
    while True:
        page = mirror.page("/pods/", 17, seen[-1] if seen else "")
        seen += [e.key for e in page.entries]
        assert page.remaining == len(keys) - len(seen) == (mirror.count("/pods/", seen[-1]))
        if not page.remaining:
            break
    assert seen == keys
    assert [e.key for e in mirror.page("/pods/b", 0, "").entries] == [key for key in keys if key.startswith("/pods/b")]
