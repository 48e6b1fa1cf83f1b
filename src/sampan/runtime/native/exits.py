"""How an exit is learned: conmon renames a file into ``exits/``, inotify wakes the loop. Nothing is polled.

The pidfd of the container's process is the second witness: should conmon have been killed, nobody writes the file,
and the container ends as unknown (255) some seconds after its process.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sampan.runtime.native import records, syscalls
from sampan.runtime.native.cgroups import Cgroup
from sampan.runtime.native.children import Watch, open_pidfd
from sampan.runtime.native.container import release
from sampan.runtime.native.records import ContainerRecord
from sampan.runtime.native.state import NodeState

log = logging.getLogger(__name__)
_CONMON_GRACE_SECONDS = 5.0


class DirectoryWatch:
    """Calls ``on_name`` for every file that is renamed into a directory."""

    def __init__(self, directory: Path, on_name: Callable[[str], None]) -> None:
        self._fd = syscalls.inotify_init()
        self._on_name = on_name
        self._names: deque[str] = deque()
        self._loop = asyncio.get_running_loop()
        syscalls.inotify_add_watch(self._fd, str(directory), syscalls.IN_MOVED_TO)
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> None:
        idle = not self._names
        self._names.extend(syscalls.inotify_names(os.read(self._fd, 1 << 16)))
        if idle:
            self._next()

    def _next(self) -> None:
        # One per turn of the loop: a hundred pods that end together would hold it up for 0.1 s.
        if self._names:
            self._on_name(self._names.popleft())
            self._loop.call_soon(self._next)

    def close(self) -> None:
        self._names.clear()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def look(state: NodeState, container_id: str) -> None:
    """If conmon has left an exit code for a running container, record it."""
    record = state.containers.get(container_id)
    if record is None or record.phase != "running":
        return
    path = state.exit_file(container_id)
    try:
        code, when = int(path.read_text()), path.stat().st_mtime
    except (FileNotFoundError, ValueError):
        return
    finish(state, record, code, when)


def watch(state: NodeState, record: ContainerRecord) -> None:
    def gone() -> None:
        state.watches.pop(record.id, None)
        if record.phase == "running":
            asyncio.get_running_loop().call_later(_CONMON_GRACE_SECONDS, lost, state, record)

    pidfd = open_pidfd(record.pid, record.pid_start)
    if pidfd is None:
        gone()
    else:
        state.watches[record.id] = Watch(pidfd, gone)


def lost(state: NodeState, record: ContainerRecord) -> None:
    """The process is gone and nobody said how."""
    look(state, record.id)
    if record.phase == "running" and state.containers.get(record.id) is record:
        log.warning("container ended unseen id=%s name=%s", record.id, record.config.name)
        finish(state, record, 255, records.now())
        record.reason = "Unknown"
        state.save(record)


def finish(state: NodeState, record: ContainerRecord, code: int, when: float) -> None:
    record.phase, record.exit_code, record.finished_at = "exited", code, when
    record.reason = reason(code, Cgroup(record.cgroup).oom_kills())
    state.save(record)
    state.unwatch(record.id)
    state.ended(record.id).set()
    state.announce_container("stopped", record)
    state.background(_clean(state, record))


def reason(code: int, oom_kills: int) -> str:
    """As containerd and the kubelet name it."""
    if code and oom_kills:
        return "OOMKilled"
    return "Error" if code else "Completed"


async def _clean(state: NodeState, record: ContainerRecord) -> None:
    async with state.lock(record.id):
        if state.containers.get(record.id) is record:
            try:
                await asyncio.to_thread(release, state, record)
            except OSError as error:
                log.warning("could not release container id=%s error=%s", record.id, error)
