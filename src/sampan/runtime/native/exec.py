"""exec: another process in the namespaces and cgroup of a running container.

`runc exec` stays in the foreground for as long as the program runs, passes its output on, and ends with its exit
code; its pid file tells that the program has begun.  With a terminal, runc gets a pty of ours as its own one, copies
between that and the container's, and learns of a new window size by SIGWINCH (a console socket would mean --detach,
and then nobody would have the exit code).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path

import orjson

from sampan.runtime.base import ExecResult, RuntimeFailure
from sampan.runtime.native import oci, records
from sampan.runtime.native.children import Child, kill_tree, spawn
from sampan.runtime.native.descriptors import read_fd, stream_pair, write_fd
from sampan.runtime.native.failures import runtime_message
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState

_OUTPUT_LIMIT = 16 << 20  # bytes of each stream that exec_sync keeps, as upstream


class ExecProcess:
    """A ``base.Process``. Whoever gets one must ``close`` it."""

    def __init__(self, files: Path) -> None:
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader = asyncio.StreamReader()
        self.stderr: asyncio.StreamReader | None = None
        self._files = files
        self._child: Child | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._pumps: list[asyncio.Task[None]] = []
        self._terminal = -1

    # Starting

    async def start(self, argv: list[str], *, stdin: bool, tty: bool) -> None:
        if tty:
            await self._start_with_terminal(argv, stdin=stdin)
        else:
            await self._start_with_pipes(argv, stdin=stdin)

    async def _start_with_pipes(self, argv: list[str], *, stdin: bool) -> None:
        with contextlib.ExitStack() as theirs:
            ends: dict[str, int] = {}
            for name in ("stdin", "stdout", "stderr") if stdin else ("stdout", "stderr"):
                reader, writer, end = await stream_pair()
                theirs.enter_context(end)
                ends[name] = end.fileno()
                self._writers.append(writer)
                setattr(self, name, writer if name == "stdin" else reader)
            self._child = await spawn(
                argv, stdin=ends.get("stdin", subprocess.DEVNULL), stdout=ends["stdout"], stderr=ends["stderr"]
            )

    async def _start_with_terminal(self, argv: list[str], *, stdin: bool) -> None:
        self._terminal, slave = os.openpty()
        os.set_blocking(self._terminal, False)
        try:
            self._child = await spawn(argv, stdin=slave, stdout=slave, stderr=slave)
        finally:
            os.close(slave)
        self.stdout, outgoing, end = await stream_pair()
        self._writers.append(outgoing)
        self._pumps.append(asyncio.create_task(self._copy_output(end)))
        if stdin:
            _, self.stdin, end = await stream_pair()
            self._writers.append(self.stdin)
            self._pumps.append(asyncio.create_task(self._copy_input(end)))

    async def _copy_output(self, end: socket.socket) -> None:
        with end:
            end.setblocking(False)
            while data := await read_fd(self._terminal, 65536):
                await write_fd(end.fileno(), data)

    async def _copy_input(self, end: socket.socket) -> None:
        with end:
            end.setblocking(False)
            while data := await read_fd(end.fileno(), 65536):
                await write_fd(self._terminal, data)

    # base.Process

    async def resize(self, width: int, height: int) -> None:
        if self._terminal >= 0 and self._child is not None:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            self._child.signal(signal.SIGWINCH)

    async def wait(self) -> int:
        assert self._child is not None
        return await self._child.wait()

    def started(self) -> int:
        """The program's pid in our pid namespace, 0 while (or when) it has not begun."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._files.with_suffix(".pid")).read_text())
        return 0

    async def close(self) -> None:
        if self._child is not None and not self._child.ended:
            if pid := self.started():
                await asyncio.to_thread(kill_tree, pid)
            self._child.kill()
            await self._child.wait()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1
        for suffix in (".json", ".pid", ".log"):
            self._files.with_suffix(suffix).unlink(missing_ok=True)


async def begin(
    state: NodeState, record: ContainerRecord, command: Sequence[str], *, stdin: bool, tty: bool
) -> ExecProcess:
    """Spawn it, without waiting until it has begun."""
    if record.phase != "running":
        raise RuntimeFailure(f"container {record.id!r} is not running")
    if not command:
        raise RuntimeFailure("no command to execute")
    files = state.config.state / "exec" / records.new_id()[:32]
    spec = orjson.loads((state.container_dir(record.id) / "config.json").read_bytes())["process"]
    files.with_suffix(".json").write_bytes(orjson.dumps(oci.exec_process(spec, command, tty=tty)))
    argv = [
        state.config.runtime, "--root", str(state.runtime_root), "--log", str(files.with_suffix(".log")),
        "--log-format", "json", "exec", "--process", str(files.with_suffix(".json")),
        "--pid-file", str(files.with_suffix(".pid")), record.id,
    ]  # fmt: skip
    process = ExecProcess(files)
    state.hasten()
    try:
        await process.start(argv, stdin=stdin, tty=tty)
    except BaseException:
        await process.close()
        raise
    return process


async def exec_(
    state: NodeState, record: ContainerRecord, command: Sequence[str], *, stdin: bool, tty: bool
) -> ExecProcess:
    """Returns once the program runs. Raises: RuntimeFailure when it can't, with runc's words."""
    process = await begin(state, record, command, stdin=stdin, tty=tty)
    try:
        await _begun(state, process)
    except BaseException:
        await process.close()
        raise
    return process


async def _begun(state: NodeState, process: ExecProcess) -> None:
    name = process._files.with_suffix(".pid").name
    appeared = state.exec_begun.setdefault(name, asyncio.Event())
    ended, begun = asyncio.ensure_future(process.wait()), asyncio.ensure_future(appeared.wait())
    try:
        if not process.started():
            await asyncio.wait({ended, begun}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        state.exec_begun.pop(name, None)
        for task in (ended, begun):
            task.cancel()
        await asyncio.gather(ended, begun, return_exceptions=True)
    check_started(process)


def check_started(process: ExecProcess) -> None:
    """Raises: RuntimeFailure when runc has given up before the program began."""
    if not process.started():
        why = runtime_message(process._files.with_suffix(".log"))
        raise RuntimeFailure(f"failed to exec in container: OCI runtime exec failed: {why}")


async def exec_sync(
    state: NodeState, record: ContainerRecord, command: Sequence[str], timeout_seconds: float
) -> ExecResult:
    """Raises: TimeoutError after killing the process and what it started; a timeout of 0 means none."""
    process = await begin(state, record, command, stdin=False, tty=False)
    try:
        async with asyncio.timeout(timeout_seconds or None):
            assert process.stderr is not None
            out, err, code = await asyncio.gather(_head(process.stdout), _head(process.stderr), process.wait())
        check_started(process)
        return ExecResult(code, out, err)
    finally:
        await process.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while data := await reader.read(65536):
        kept += data[: _OUTPUT_LIMIT - len(kept)]
    return bytes(kept)
