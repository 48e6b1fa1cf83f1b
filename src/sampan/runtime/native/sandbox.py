"""A pod sandbox: the namespaces that a pod's containers share, and what else belongs to the pod, not to one of them.

    netns, ipcns, utsns ── made in one step and pinned by bind mounts (``namespaces``)
    pause process ──────── owns them (``pause``), and the pid namespace of a pod that shares it
    shm ────────────────── one tmpfs for the pod, bound to /dev/shm of every container
    resolv.conf, hostname, hosts ── files that are bound into every container

A container may die and come again; address, shared memory and hostname stay, because they belong to the sandbox.
Upstream: containerd pkg/cri/server/sandbox_run.go.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

import orjson

from sampan.runtime.base import RuntimeFailure, SandboxConfig
from sampan.runtime.native import files, namespaces, oci, pause, records, stop, syscalls
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.children import Watch, open_pidfd, spawn, start_time
from sampan.runtime.native.container import remove as remove_container
from sampan.runtime.native.failures import runtime_message
from sampan.runtime.native.records import SandboxRecord
from sampan.runtime.native.state import NodeState

log = logging.getLogger(__name__)


async def run(state: NodeState, config: SandboxConfig) -> str:
    """Make a sandbox; returns its id. Raises: RuntimeFailure, and then nothing of it is left."""
    record = SandboxRecord(records.new_id(), config, records.now())
    record.pins = {kind: str(state.pin(kind, record.id)) for kind in namespaces.wanted(config)}
    record.cgroup = f"{state.cgroup_parent(config)}/{record.id}"
    state.sandboxes[record.id] = record
    state.hasten()
    try:
        await asyncio.to_thread(_prepare, state, record)
        # The two slow parts need each other's result as little as two containers do.
        ips, pid = await asyncio.gather(_attach(state, record), _start_pause(state, record), return_exceptions=True)
        for outcome in (ips, pid):
            if isinstance(outcome, BaseException):
                raise outcome
    except BaseException as error:
        await undo(state, record)
        if isinstance(error, OSError):
            raise RuntimeFailure(f"failed to create pod sandbox: {error}") from error
        raise
    record.phase = "ready"
    state.save(record)
    watch(state, record)
    state.announce("started", record.id, config.uid)
    return record.id


def _prepare(state: NodeState, record: SandboxRecord) -> None:
    directory, config = state.sandbox_dir(record.id), record.config
    directory.mkdir()
    state.save(record)  # before anything that would have to be undone
    pins = {kind: state.pin(kind, record.id) for kind in namespaces.wanted(config)}
    record.pid = namespaces.create(pins, config, lambda: _start_plain_pause(state, record))
    record.pid_start = start_time(record.pid)
    if config.ipc != "node":
        shm = directory / "shm"
        shm.mkdir()
        flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
        syscalls.mount("shm", str(shm), "tmpfs", flags, f"mode=1777,size={state.config.shm_bytes}")
    files.write(directory, config)
    if config.pid == "pod":
        spec = oci.pause_spec(str(state.pause_rootfs), record.cgroup, record.pins, state.host)
        (directory / "config.json").write_bytes(orjson.dumps(spec))
    if config.log_directory:
        records.make_directory(config.log_directory)


def _start_plain_pause(state: NodeState, record: SandboxRecord) -> int:
    if record.config.pid == "pod":
        return 0  # runc starts it, as process 1 of the pid namespace
    return pause.start_here(state.config.pause, record.id, Cgroup(record.cgroup))


async def _attach(state: NodeState, record: SandboxRecord) -> None:
    if record.netns:
        record.ips = tuple(await state.network.attach(record.id, record.netns))


async def _start_pause(state: NodeState, record: SandboxRecord) -> None:
    """For a pod that shares its pid namespace."""
    if record.config.pid != "pod":
        return
    # No conmon: the pause process writes nothing, nobody attaches to it, and its exit code says nothing.
    directory = state.sandbox_dir(record.id)
    argv = [
        state.config.runtime, "--root", str(state.runtime_root), "--log", str(directory / "runtime.log"),
        "--log-format", "json", "run", "--detach", "--pid-file", str(directory / "pid"),
        "--bundle", str(directory), record.id,
    ]  # fmt: skip
    async with state.turn:
        child = await spawn(argv)
        code = await child.wait()
    if code:
        raise RuntimeFailure(f"failed to start the pause process: {runtime_message(directory / 'runtime.log')}")
    record.pid = int((directory / "pid").read_text())
    record.pid_start = start_time(record.pid)


def watch(state: NodeState, record: SandboxRecord) -> None:
    """The sandbox is ready for as long as its namespaces are there, and its pause process lives."""

    def gone() -> None:
        state.watches.pop(record.id, None)
        pause.reap(record.pid)
        if record.phase == "ready":
            record.phase = "stopped"
            state.save(record)
            state.announce("stopped", record.id, record.config.uid)

    if not all(namespaces.held(Path(pin)) for pin in record.pins.values()):
        gone()  # the machine was started anew
        return
    pidfd = open_pidfd(record.pid, record.pid_start)
    if pidfd is None:
        gone()
    else:
        state.watches[record.id] = Watch(pidfd, gone)


async def stop_sandbox(state: NodeState, record: SandboxRecord) -> None:
    """End every process, free the address. A second call finds nothing left to do."""
    was_ready, record.phase = record.phase == "ready", "stopped"
    await asyncio.gather(*(stop.stop(state, c, 0) for c in state.containers_of(record.id)))
    await state.network.detach(record.id)
    state.unwatch(record.id)
    await asyncio.to_thread(_release, state, record)
    record.pins = {}
    if state.sandbox_dir(record.id).is_dir():
        state.save(record)
    if was_ready:
        state.announce("stopped", record.id, record.config.uid)


def _release(state: NodeState, record: SandboxRecord) -> None:
    if record.cgroup:
        Cgroup(record.cgroup).remove()
    if record.pid:
        pause.reap(record.pid)
    for kind in namespaces.KINDS:
        namespaces.remove(state.pin(kind, record.id))
    syscalls.unmount(str(state.sandbox_dir(record.id) / "shm"))
    shutil.rmtree(state.runtime_root / record.id, ignore_errors=True)


async def remove(state: NodeState, record: SandboxRecord) -> None:
    await stop_sandbox(state, record)
    await asyncio.gather(*(remove_container(state, c) for c in state.containers_of(record.id)))
    await asyncio.to_thread(records.remove_directory, state.sandbox_dir(record.id))
    state.forget(record.id)
    state.announce("deleted", record.id, record.config.uid)


async def undo(state: NodeState, record: SandboxRecord) -> None:
    """Take a half-made sandbox back, as far as it came."""
    try:
        await state.network.detach(record.id)
    except Exception as error:
        log.warning("could not detach half-made sandbox id=%s error=%r", record.id, error)
    await asyncio.to_thread(_release, state, record)
    await asyncio.to_thread(records.remove_directory, state.sandbox_dir(record.id))
    state.forget(record.id)
