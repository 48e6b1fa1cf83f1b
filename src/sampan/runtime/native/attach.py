"""attach: the main process's own streams, through conmon's socket. exec starts another process; attach does not.

conmon speaks packets (SOCK_SEQPACKET): from it, one byte 2 (stdout) or 3 (stderr) and then data; to it, plain data
for the process's stdin. It takes at most 32 KiB in one packet.  Shutting down our side means the end of input. A
window size goes as a line into the fifo ``ctl``, and so does the wish for a fresh log file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.native.descriptors import read_fd, stream_pair, write_fd
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState

_PACKET = 16384
_STDERR = 3
_RESIZE, _REOPEN_LOG = 1, 2


class AttachProcess:
    """A ``base.Process`` of a container's first process. ``close`` detaches, the process goes on."""

    def __init__(self, state: NodeState, record: ContainerRecord, sock: socket.socket) -> None:
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader = asyncio.StreamReader()
        self.stderr: asyncio.StreamReader | None = None
        self._state = state
        self._record = record
        self._socket = sock
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: list[asyncio.Task[None]] = []

    async def start(self, *, stdin: bool) -> None:
        self.stdout, writer, out = await stream_pair()
        self._writers.append(writer)
        error = None
        if not self._record.config.tty:
            self.stderr, writer, error = await stream_pair()
            self._writers.append(writer)
        self._pumps.append(asyncio.create_task(self._copy_output(out, error)))
        if stdin:
            _, self.stdin, end = await stream_pair()
            self._writers.append(self.stdin)
            self._pumps.append(asyncio.create_task(self._copy_input(end)))

    async def _copy_output(self, out: socket.socket, error: socket.socket | None) -> None:
        with out, error or contextlib.nullcontext():
            for end in (out, error):
                if end is not None:
                    end.setblocking(False)
            while packet := await read_fd(self._socket.fileno(), _PACKET):
                target = error if packet[0] == _STDERR and error is not None else out
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    await write_fd(target.fileno(), packet[1:])

    async def _copy_input(self, end: socket.socket) -> None:
        with end, contextlib.suppress(BrokenPipeError, ConnectionResetError, OSError):
            end.setblocking(False)
            while data := await read_fd(end.fileno(), _PACKET):
                await write_fd(self._socket.fileno(), data)
            self._socket.shutdown(socket.SHUT_WR)

    async def resize(self, width: int, height: int) -> None:
        await asyncio.to_thread(control, self._state.container_dir(self._record.id), _RESIZE, height, width)

    async def wait(self) -> int:
        await self._state.ended(self._record.id).wait()
        return self._record.exit_code

    async def close(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        self._socket.close()


async def attach(state: NodeState, record: ContainerRecord, *, stdin: bool) -> AttachProcess:
    if record.phase != "running":
        raise RuntimeFailure(f"container {record.id!r} is not running")
    try:
        sock = connect(state.container_dir(record.id))
    except OSError as error:
        raise RuntimeFailure(f"cannot attach to container {record.id!r}: {error}") from error
    process = AttachProcess(state, record, sock)
    await process.start(stdin=stdin and record.config.stdin)
    return process


def connect(directory: Path) -> socket.socket:
    # A socket's path has room for 108 bytes; through the directory's descriptor it is always short.
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{at}/attach")
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(at)
    return sock


def control(directory: Path, what: int, height: int = 0, width: int = 0) -> None:
    """One line to conmon. Raises: RuntimeFailure when there is no conmon."""
    try:
        fd = os.open(directory / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"container monitor does not answer: {error}") from error
    try:
        os.write(fd, f"{what} {height} {width}\n".encode())
    finally:
        os.close(fd)


async def reopen_log(state: NodeState, record: ContainerRecord) -> None:
    """After the kubelet has renamed the log away, conmon makes a new one under the old name."""
    if record.phase != "running":
        raise RuntimeFailure(f"container {record.id!r} is not running")
    await asyncio.to_thread(control, state.container_dir(record.id), _REOPEN_LOG)
