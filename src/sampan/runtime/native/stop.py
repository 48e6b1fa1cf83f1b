"""Stopping: the stop signal, patience, SIGKILL. Returns when the process is gone.

Upstream: containerd pkg/cri/server/container_stop.go.
"""

from __future__ import annotations

import asyncio
import signal

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState

_KILL_SECONDS = 30.0  # a process in an uninterruptible sleep may take a while to die


async def stop(state: NodeState, record: ContainerRecord, timeout_seconds: float) -> None:
    async with state.lock(record.id):  # a start that is under way is let through first
        pass
    if record.phase != "running":
        return
    ended = state.ended(record.id)
    if timeout_seconds > 0:
        _signal(state, record, record.stop_signal)
        if await _within(ended, timeout_seconds):
            return
    _signal(state, record, signal.SIGKILL)
    sandbox = state.sandboxes.get(record.sandbox_id)
    if sandbox is None or sandbox.config.pid != "container" or record.config.pid_target:
        # With a pid namespace of its own the kernel kills the rest together with the first process.
        await asyncio.to_thread(Cgroup(record.cgroup).kill)
    if not await _within(ended, _KILL_SECONDS):
        raise RuntimeFailure(f"container {record.id!r} did not die within {_KILL_SECONDS:.0f} s of SIGKILL")


def _signal(state: NodeState, record: ContainerRecord, number: int) -> None:
    if watch := state.watches.get(record.id):
        watch.signal(number)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
