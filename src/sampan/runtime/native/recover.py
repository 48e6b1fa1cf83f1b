"""Taking over from a former agent: what it left running goes on, what it left half-made goes away.

Decided from what is: the records, the processes (pid and start time), the exit files.

    record says    and                          then
    torn/creating                               undo: nobody has heard of it yet
    ready          pause process lives          watch it
                   it is gone                   stopped
    created                                     as it is: it can still be started
    starting                                    kill: nobody knows how far it came; exited, unknown
    running        exit file is there           exited with that code
                   process lives                watch it; let go of it if it still waits at its fifo
                   process is gone              exited, unknown (conmon was killed, or the machine rebooted)
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from sampan.runtime.base import SandboxConfig
from sampan.runtime.native import container, exits, namespaces, records, sandbox, start
from sampan.runtime.native.children import alive, kill_stragglers
from sampan.runtime.native.records import ContainerRecord, SandboxRecord
from sampan.runtime.native.state import NodeState

log = logging.getLogger(__name__)


def prepare(state: NodeState) -> None:
    """The directories, and the root file system that all pause processes share."""
    for name in ("sandboxes", "containers", "netns", "ipcns", "utsns", "exits", "run", "pause"):
        (state.config.state / name).mkdir(parents=True, exist_ok=True)
    exec_files = state.config.state / "exec"
    shutil.rmtree(exec_files, ignore_errors=True)
    exec_files.mkdir()
    program = state.pause_rootfs / "pause"
    if not program.exists():
        for name in ("proc", "dev", "sys"):
            (state.pause_rootfs / name).mkdir(exist_ok=True)
        fresh = program.with_suffix(".new")
        shutil.copyfile(state.config.pause, fresh)
        fresh.chmod(0o555)
        fresh.rename(program)


async def recover(state: NodeState) -> None:
    for room, one in (("sandboxes", _recover_sandbox), ("containers", _recover_container)):
        for path in sorted((state.config.state / room).iterdir()):
            try:
                await one(state, path)
            except OSError as error:  # one that resists must not keep the node down; the next start tries again
                log.warning("could not take over %s id=%s error=%s", room, path.name, error)
    await asyncio.to_thread(_sweep, state)
    await state.network.garbage_collect({s.id for s in state.sandboxes.values() if s.phase == "ready" and s.netns})


async def _recover_sandbox(state: NodeState, path: Path) -> None:
    record = records.load(path / "sandbox.json", SandboxRecord)
    if record is None or record.phase == "creating":
        log.info("took back half-made sandbox id=%s", path.name)
        await asyncio.to_thread(kill_stragglers, path.name)
        await sandbox.undo(state, record or SandboxRecord(path.name, SandboxConfig("", "", ""), 0.0))
        return
    state.sandboxes[record.id] = record
    if record.phase == "ready":
        sandbox.watch(state, record)


async def _recover_container(state: NodeState, path: Path) -> None:
    record = records.load(path / "container.json", ContainerRecord)
    if record is None or record.phase == "creating" or record.sandbox_id not in state.sandboxes:
        log.info("took back half-made container id=%s", path.name)
        await asyncio.to_thread(container.delete, state, path.name, record.cgroup if record else "")
        return
    state.containers[record.id] = record
    if record.phase == "starting":
        await asyncio.to_thread(kill_stragglers, record.id)
        await asyncio.to_thread(container.release, state, record)
        record.phase = "running"  # so that it can be finished like any other
        exits.lost(state, record)
    elif record.phase == "running":
        await _recover_running(state, record)
    elif record.phase == "exited":
        state.ended(record.id).set()


async def _recover_running(state: NodeState, record: ContainerRecord) -> None:
    exits.look(state, record.id)
    if record.phase != "running":
        return
    if alive(record.pid, record.pid_start):
        exits.watch(state, record)
        await start.let_go(state, record)
        return
    # conmon may be about to write the file; after a reboot nobody is, and then waiting would be vain.
    asyncio.get_running_loop().call_later(0.2, exits.lost, state, record)


def _sweep(state: NodeState) -> None:
    """Files that belong to no record any more."""
    for pin in [p for kind in namespaces.KINDS for p in state.pins(kind).iterdir()]:
        if pin.name not in state.sandboxes:
            namespaces.remove(pin)
    for left in (state.config.state / "exits").iterdir():
        if left.name not in state.containers:
            left.unlink(missing_ok=True)
    for left in state.runtime_root.iterdir():
        if left.name not in state.containers and left.name not in state.sandboxes:
            shutil.rmtree(left, ignore_errors=True)
