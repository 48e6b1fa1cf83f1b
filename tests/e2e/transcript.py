"""Runs the commands of a documentation page and holds what they print against what the page says.

A page's ``console`` blocks are one shell session.  A line that begins with ``$ `` is a command (continued while it ends
with a backslash, and to the end of a here-document); the lines up to the next command are its output.  A command
without expected output may print anything.  The exit code must be 0 unless a line of the command ends with ``# fails``.

In expected output ``...`` stands for any text in the line, and a line of ``...`` alone for any number of lines. Columns
may be wider or narrower, lines indented or not.  What no two clusters have in common (inode numbers of namespaces,
addresses of pods and Services, UIDs, generated suffixes of names) may be another one than on the page, but the page's
must be told apart and recognized: where it shows one number twice the cluster prints one number twice, and two
different ones stay different.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
#: A cluster beside another one has other ranges, so all their addresses vary; generated names have no vowels.
VARIABLE = re.compile(r"""
    (?P<inode>\b402653\d{4}\b)
  | (?P<uid>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b)
  | (?P<address>\b10\.(?:244|96)\.\d{1,3}\.\d{1,3}\b(?!/))
  | (?P<suffix>(?<=[a-z0-9]-)[bcdf-hj-np-tv-xz24-9]{5}\b | (?<=[a-z0-9][-:])[bcdf-hj-np-tv-xz24-9]{8,10}\b)
""", re.X)
LIKE = {"inode": r"\d{10}", "uid": r"[0-9a-f-]{36}", "address": r"10\.\d+\.\d+\.\d+", "suffix": r"[a-z0-9]{5,10}"}


@dataclass(frozen=True)
class Step:
    command: str
    expected: tuple[str, ...]
    fails: bool
    line: int


def steps(page: Path) -> list[Step]:
    """The page's commands, in order."""
    text = page.read_text()
    found = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1)) + 1
        found += _steps_of(block.group(1).splitlines(), line)
    return found


def _steps_of(lines: list[str], first: int) -> list[Step]:
    found: list[Step] = []
    position = 0
    while position < len(lines):
        assert lines[position].startswith("$ "), f"line {first + position}: a block begins with a command"
        start = position
        position = _end_of_command(lines, position)
        command = "\n".join(lines[start:position])[2:]
        output = []
        while position < len(lines) and not lines[position].startswith("$ "):
            output.append(lines[position])
            position += 1
        found.append(Step(command, tuple(output), bool(re.search(r"# fails$", command, re.M)), first + start))
    return found


def _end_of_command(lines: list[str], position: int) -> int:
    """The first line after the command that begins at ``position``."""
    heredoc = re.search(r"<<'?(\w+)'?", lines[position])
    if heredoc:
        return lines.index(heredoc.group(1), position) + 1
    while lines[position].endswith("\\"):
        position += 1
    return position + 1


@dataclass
class Transcript:
    """Compares outputs with a page, and remembers what the page's variable values are in this run."""

    values: dict[str, str] = field(default_factory=dict)

    def matches(self, expected: tuple[str, ...], printed: str) -> bool:
        """Whether the printed text is what the page shows."""
        if not expected:
            return True
        names: dict[str, str] = {}
        pattern = "".join(
            r"(?:.*\n)*?" if line.strip() == "..." else self._line(line, names) + r"\n" for line in expected)
        normal = "".join(f"{line.strip()}\n" for line in printed.splitlines())
        found = re.fullmatch(pattern, normal)
        if found is None:
            return False
        learned = self.values | {shown: found[name] for shown, name in names.items()}
        if len(set(learned.values())) < len(learned):
            return False
        self.values = learned
        return True

    def _line(self, line: str, names: dict[str, str]) -> str:
        if not line.strip():
            return r"\s*?"
        return r"[^\S\n]+".join(self._word(word, names) for word in line.split())

    def _word(self, word: str, names: dict[str, str]) -> str:
        pattern, end = "", 0
        for found in VARIABLE.finditer(word):
            pattern += _literal(word[end:found.start()]) + self._variable(found, names)
            end = found.end()
        return pattern + _literal(word[end:])

    def _variable(self, found: re.Match[str], names: dict[str, str]) -> str:
        shown, kind = found[0], str(found.lastgroup)
        if shown in self.values:
            return re.escape(self.values[shown])
        if shown in names:
            return f"(?P={names[shown]})"
        names[shown] = f"{kind}{len(names)}"
        return f"(?P<{names[shown]}>{LIKE[kind]})"


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\.\.\.", ".*?")
