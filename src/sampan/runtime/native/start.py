"""Starting a container: conmon becomes its parent, has runc create it, and stays to see it end.

    agent ─ conmon ─ runc create ─ runc init        init waits at a fifo, namespaces and mounts done
                  ↖ pid by the sync pipe
    agent opens the fifo (that is all `runc start` does, without one more process) ─ init execs the program

conmon keeps the container's output pipes, writes the log in CRI format, serves the attach socket, and leaves the exit
code in ``exits/<id>``; it does not need the agent, so containers survive it.  Upstream: containers/conmon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import orjson

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.native import exits, records, rootfs
from sampan.runtime.native.children import spawn, start_time
from sampan.runtime.native.container import release
from sampan.runtime.native.descriptors import read_fd
from sampan.runtime.native.failures import runtime_message
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState


async def start(state: NodeState, record: ContainerRecord) -> None:
    """Raises: RuntimeFailure with runc's words; the container then counts as exited with 128, reason StartError."""
    async with state.lock(record.id):
        if record.phase != "created":
            raise RuntimeFailure(f"container {record.id!r} is {record.phase}, it can't be started")
        record.phase = "starting"
        try:
            async with state.turn:
                record.pid = await _create_process(state, record)
        except (RuntimeFailure, OSError) as error:
            await _could_not_start(state, record, str(error))
            raise RuntimeFailure(record.message) from error
        record.pid_start = start_time(record.pid)
        record.phase, record.started_at = "running", records.now()
        state.save(record)
        state.announce_container("started", record)  # before it can end
        exits.watch(state, record)
        await let_go(state, record)
        exits.look(state, record.id)  # it may have ended before anybody watched


async def _create_process(state: NodeState, record: ContainerRecord) -> int:
    directory = state.container_dir(record.id)
    await asyncio.to_thread(_ready_to_start, state, record)
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.set_blocking(theirs, True)
        state.hasten()
        with (directory / "conmon.log").open("wb") as errors:
            child = await spawn(
                conmon_arguments(state, record), stderr=errors.fileno(), cwd=directory,
                env={"_OCI_SYNCPIPE": str(theirs)}, pass_fds=(theirs,),
            )  # fmt: skip
        os.close(theirs)
        theirs = -1
        answer = await _read_line(ours)
        await child.wait()
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)
    return _pid(answer, directory)


def _ready_to_start(state: NodeState, record: ContainerRecord) -> None:
    # A container made before a reboot has lost its mount.
    image = state.images.find(record.image_id)
    rootfs.mount(state.container_dir(record.id), state.images.layer_paths(image) if image else [])
    state.save(record)


def conmon_arguments(state: NodeState, record: ContainerRecord) -> list[str]:
    directory, config = state.container_dir(record.id), record.config
    arguments = [
        state.config.conmon, "--api-version", "1", "-c", record.id, "-u", record.id, "-n", config.name,
        "-r", state.config.runtime, "-b", str(directory), "-p", str(directory / "pid"),
        "-P", str(directory / "conmon.pid"), "-l", f"k8s-file:{record.log_path}",
        "--exit-dir", str(state.config.state / "exits"),
        "--full-attach", "--no-sync-log",
        "--runtime-arg", f"--root={state.runtime_root}", "--runtime-arg", f"--log={directory / 'runtime.log'}",
        "--runtime-arg", "--log-format=json",
    ]  # fmt: skip
    if config.tty:
        arguments.append("-t")
    if config.stdin:
        arguments.append("-i")
        if not config.stdin_once:
            arguments.append("--leave-stdin-open")
    return arguments


async def _read_line(fd: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        chunk = await read_fd(fd, 16384)
        if not chunk:
            break
        data += chunk
    return data


def _pid(answer: bytes, directory: Path) -> int:
    """conmon says ``{"data": PID}``, or ``{"data": -1, "message": ...}`` with the first bytes of runc's stderr."""
    try:
        said = orjson.loads(answer)
    except ValueError:
        said = {"data": -1, "message": (directory / "conmon.log").read_text(errors="replace").strip()}
    if said["data"] > 0:
        return int(said["data"])
    why = runtime_message(directory / "runtime.log")
    if why == "unknown error":
        why = str(said.get("message") or why).strip()
    raise RuntimeFailure(why)


async def _could_not_start(state: NodeState, record: ContainerRecord, why: str) -> None:
    record.phase, record.exit_code, record.reason = "exited", 128, "StartError"
    record.message = f"failed to create container task: OCI runtime create failed: {why}"
    record.finished_at = records.now()
    state.save(record)
    await asyncio.to_thread(release, state, record)
    state.ended(record.id).set()
    state.announce_container("stopped", record)


async def let_go(state: NodeState, record: ContainerRecord) -> None:
    """Open the fifo that init waits at; once it has written its byte it is on its way into the program."""
    fifo = state.runtime_root / record.id / "exec.fifo"
    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # done before, by us or by a former agent
    reading = asyncio.ensure_future(read_fd(fd, 1, wait_first=True))
    ended = asyncio.ensure_future(state.ended(record.id).wait())  # init may be killed before it opens its side
    try:
        await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, ended):
            task.cancel()
        await asyncio.gather(reading, ended, return_exceptions=True)
        os.close(fd)
    with contextlib.suppress(FileNotFoundError):
        fifo.unlink()  # runc tells "created" from "running" by it
