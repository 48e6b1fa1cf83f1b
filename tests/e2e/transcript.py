"""Runs the commands of a documentation page and holds what they print against what the page says.

A page's ``console`` blocks are one shell session.  A line that begins with ``$ `` is a command (continued while it ends
with a backslash); the lines up to the next command are its output.  In expected output ``...`` stands for any text in
the line, and a line of ``...`` alone for any number of lines.  A command without expected output may print anything.
The exit code must be 0 unless the command ends with ``# fails``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)


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
        command = lines[position][2:]
        while command.endswith("\\"):
            position += 1
            command = f"{command}\n{lines[position]}"
        heredoc = re.search(r"<<'?(\w+)'?", command)
        while heredoc and lines[position] != heredoc.group(1):
            position += 1
            command = f"{command}\n{lines[position]}"
        position += 1
        output = []
        while position < len(lines) and not lines[position].startswith("$ "):
            output.append(lines[position])
            position += 1
        found.append(Step(command, tuple(output), command.rstrip().endswith("# fails"), first + start))
    return found


def matches(expected: tuple[str, ...], printed: str) -> bool:
    """Whether the printed text is what the page shows."""
    if not expected:
        return True
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else _line(line) + r"\n" for line in expected)
    normal = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch(pattern, normal) is not None


def _line(line: str) -> str:
    """Columns may be wider or narrower than on the page."""
    words = re.split(r"\s+", line.rstrip())
    return r"\s+".join(re.escape(word).replace(r"\.\.\.", ".*?") for word in words) if line.strip() else r"\s*"
