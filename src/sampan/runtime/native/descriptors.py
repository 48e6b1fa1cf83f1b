"""Waiting for a file descriptor in the loop, for kinds that asyncio has no stream for: fifos, ptys, packet sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import socket


async def _ready(fd: int, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    add(fd, _wake, waiter)
    try:
        await waiter
    finally:
        remove(fd)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def read_fd(fd: int, size: int, *, wait_first: bool = False) -> bytes:
    """The next bytes (or packet) of a non-blocking descriptor, b"" at the end. A pty without its other side is at the
    end.

    ``wait_first``: a fifo that nobody has opened for writing yet looks like one at its end; wait until it doesn't.
    """
    while True:
        if wait_first:
            await _ready(fd, write=False)
        try:
            return os.read(fd, size)
        except BlockingIOError:
            await _ready(fd, write=False)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ECONNRESET):
                return b""
            raise


async def write_fd(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            await _ready(fd, write=True)


async def stream_pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, socket.socket]:
    """A stream of ours, and the socket at its other end for a child process or a pump."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours)
    return reader, writer, theirs
