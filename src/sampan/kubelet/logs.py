"""Reading a container's log: the end of it, from a time on, and as it grows.

Upstream: ``pkg/kubelet/kuberuntime/logs/logs.go``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sampan.kubelet.inotify import CLOSE_WRITE, DELETE_SELF, MOVE_SELF, FileWatch
from sampan.kubelet.log_format import LogLine, parse_line

CHUNK_BYTES = 64 * 1024
CHECK_SECONDS = 5.0
CLOSING_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LogOptions:
    """PodLogOptions. ``since`` is in seconds since the epoch; ``None`` is no limit."""

    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: str = ""  # "", "stdout" or "stderr"


class _Output:
    """Turns raw lines into what the client gets, up to its limit."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left = options.limit_bytes
        self._fresh_line = True

    @property
    def full(self) -> bool:
        return self._left is not None and self._left <= 0

    def take(self, raw: list[bytes]) -> bytes:
        out = b"".join(self._render(line) for line in map(parse_line, raw) if line is not None)
        if self._left is not None:
            out = out[: self._left]
            self._left -= len(out)
        return out

    def _render(self, line: LogLine) -> bytes:
        options = self._options
        if options.stream and line.stream != options.stream:
            return b""
        if options.since is not None and line.seconds < options.since:
            return b""
        stamp = options.timestamps and self._fresh_line
        self._fresh_line = line.content.endswith(b"\n")
        return (line.timestamp.encode() + b" " if stamp else b"") + line.content


async def read_log(path: str, options: LogOptions, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces. Following ends when the container no longer runs and all was read. Raises: OSError."""
    log = _LogFile(path, options.tail_lines)
    output = _Output(options)
    watch = FileWatch(path) if options.follow else None
    try:
        while not output.full:
            alive = running()  # asked before reading, so that its last words are not missed
            raw = log.read_lines()
            if raw:
                if chunk := output.take(raw):
                    yield chunk
                continue
            if watch is None or not alive:
                return
            happened = await watch.wait(CHECK_SECONDS)
            if happened & (MOVE_SELF | DELETE_SELF):
                for late in iter(log.read_lines, []):
                    yield output.take(late)
                watch.close()
                watch = None
                log.close()
                log = await _replaced(path)
                watch = FileWatch(path)
            elif happened & CLOSE_WRITE:
                await asyncio.sleep(CLOSING_SECONDS)  # the runtime is about to report the end
    finally:
        log.close()
        if watch:
            watch.close()


async def _replaced(path: str) -> _LogFile:
    """Rotation renames the file, then has the runtime open a new one. Raises: OSError if that never comes."""
    for _ in range(100):
        try:
            return _LogFile(path, None)
        except FileNotFoundError:
            await asyncio.sleep(CLOSING_SECONDS)
    return _LogFile(path, None)


class _LogFile:
    """Whole lines only: what the writer has not finished is kept for the next read."""

    def __init__(self, path: str, tail_lines: int | None) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._rest = b""
        if tail_lines is not None:
            self._file.seek(tail_offset(self._file.fileno(), tail_lines))

    def read_lines(self) -> list[bytes]:
        data = self._rest + self._file.read(CHUNK_BYTES)
        whole, newline, self._rest = data.rpartition(b"\n")
        return (whole + newline).splitlines(keepends=True) if newline else []

    def close(self) -> None:
        self._file.close()


def tail_offset(fd: int, lines: int) -> int:
    """Where the last ``lines`` lines begin."""
    end = os.fstat(fd).st_size
    if lines <= 0:
        return end
    at, found = end, 0
    while at > 0:
        begin = max(0, at - CHUNK_BYTES)
        block = os.pread(fd, at - begin, begin)
        cut = len(block) - 1 if at == end and block.endswith(b"\n") else len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            found += 1
            if found == lines:
                return begin + cut + 1
        at = begin
    return 0


def parse_since(text: str) -> float:
    """``sinceTime``. Raises: ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
