"""inotify(7) by libc: to be told when a log file grows, is replaced, or is closed by its writer.  Nothing is polled."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct

MODIFY, CLOSE_WRITE, MOVE_SELF, DELETE_SELF = 0x2, 0x8, 0x800, 0x400
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class FileWatch:
    """Watches one file; ``wait`` returns the mask of what happened since, 0 after the timeout."""

    def __init__(self, path: str) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), f"inotify_init1: {os.strerror(ctypes.get_errno())}")
        mask = MODIFY | CLOSE_WRITE | MOVE_SELF | DELETE_SELF
        if _libc.inotify_add_watch(self._fd, path.encode(), mask) < 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, os.strerror(error), path)
        self._seen = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._fd, self._read)

    async def wait(self, timeout_seconds: float) -> int:
        try:
            await asyncio.wait_for(self._news.wait(), timeout_seconds)
        except TimeoutError:
            return 0
        self._news.clear()
        seen, self._seen = self._seen, 0
        return seen

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            self._seen |= mask
            at += _EVENT.size + length
        self._news.set()
