"""What the runtime knows of its node: records, locks, paths, and who wants to hear of changes. No decisions here."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sampan.runtime.base import ContainerEvent, NotFoundInRuntime, SandboxConfig
from sampan.runtime.images.store import ImageStore
from sampan.runtime.native import records
from sampan.runtime.native.cgroups import hasten_migration
from sampan.runtime.native.children import Watch
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.namespaces import KINDS, Kind
from sampan.runtime.native.oci import Host
from sampan.runtime.native.records import ContainerRecord, SandboxRecord

if TYPE_CHECKING:
    from sampan.network.base import PodNetwork

T = TypeVar("T")


class NodeState:
    def __init__(self, config: NativeConfig, network: PodNetwork, images: ImageStore, host: Host) -> None:
        self.config = config
        self.network = network
        self.images = images
        self.host = host
        self.sandboxes: dict[str, SandboxRecord] = {}
        self.containers: dict[str, ContainerRecord] = {}
        self.watches: dict[str, Watch] = {}  # pidfds of pause processes and containers, by id
        # A hundred runc at once would only take turns on the cores, and keep the loop from its own.
        self.turn = asyncio.Semaphore(2 * (os.cpu_count() or 1))
        self.exec_begun: dict[str, asyncio.Event] = {}  # by name of the pid file that is waited for
        self._ended: dict[str, asyncio.Event] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._listeners: set[asyncio.Queue[ContainerEvent]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._hastening: asyncio.Future[None] | None = None

    # Paths

    def sandbox_dir(self, sandbox_id: str) -> Path:
        return self.config.state / "sandboxes" / sandbox_id

    def container_dir(self, container_id: str) -> Path:
        return self.config.state / "containers" / container_id

    def cgroup_parent(self, config: SandboxConfig) -> str:
        """Where the cgroups of a sandbox's containers are made."""
        return (config.cgroup_parent or self.config.cgroup_root).rstrip("/")

    def pin(self, kind: Kind, sandbox_id: str) -> Path:
        """Where a namespace of a sandbox is held: ``netns/<id>`` and so on."""
        return self.pins(kind) / sandbox_id

    def pins(self, kind: Kind) -> Path:
        return self.config.state / f"{KINDS[kind][0]}ns"

    def exit_file(self, container_id: str) -> Path:
        return self.config.state / "exits" / container_id

    @property
    def pause_rootfs(self) -> Path:
        return self.config.state / "pause"

    @property
    def runtime_root(self) -> Path:
        return self.config.state / "run"

    # Records

    def sandbox(self, sandbox_id: str) -> SandboxRecord:
        try:
            return self.sandboxes[sandbox_id]
        except KeyError:
            raise NotFoundInRuntime(f"sandbox {sandbox_id!r} not found") from None

    def container(self, container_id: str) -> ContainerRecord:
        try:
            return self.containers[container_id]
        except KeyError:
            raise NotFoundInRuntime(f"container {container_id!r} not found") from None

    def containers_of(self, sandbox_id: str) -> list[ContainerRecord]:
        return [c for c in self.containers.values() if c.sandbox_id == sandbox_id]

    def save(self, record: SandboxRecord | ContainerRecord) -> None:
        if isinstance(record, SandboxRecord):
            records.save(self.sandbox_dir(record.id) / "sandbox.json", record)
        else:
            records.save(self.container_dir(record.id) / "container.json", record)

    def forget(self, record_id: str) -> None:
        self.unwatch(record_id)
        self.sandboxes.pop(record_id, None)
        self.containers.pop(record_id, None)
        self._ended.pop(record_id, None)
        self._locks.pop(record_id, None)

    # Waiting

    def lock(self, record_id: str) -> asyncio.Lock:
        """Verbs that change one sandbox or container take turns."""
        return self._locks.setdefault(record_id, asyncio.Lock())

    def ended(self, container_id: str) -> asyncio.Event:
        """Set once the container's process is gone and its record says how it went."""
        return self._ended.setdefault(container_id, asyncio.Event())

    def unwatch(self, record_id: str) -> None:
        if watch := self.watches.pop(record_id, None):
            watch.close()

    def background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Work that goes on when its caller is cancelled; ``close`` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def hasten(self) -> None:
        """Call it just before a process is started that moves another into a cgroup.

        Only for what comes alone: in a burst the waits are shared without our help.
        """
        if len(self._tasks) <= 1 and (self._hastening is None or self._hastening.done()):
            self._hastening = asyncio.get_running_loop().run_in_executor(None, hasten_migration)

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end even when the caller is cancelled: half a container start helps nobody."""
        return await asyncio.shield(self.background(work))

    async def settle(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # Events

    def announce(self, kind: Literal["created", "started", "stopped", "deleted"], record_id: str, uid: str) -> None:
        for queue in self._listeners:
            with contextlib.suppress(asyncio.QueueFull):  # a listener that sleeps will relist
                queue.put_nowait(ContainerEvent(kind, uid, record_id))

    def announce_container(
        self, kind: Literal["created", "started", "stopped", "deleted"], record: ContainerRecord
    ) -> None:
        sandbox = self.sandboxes.get(record.sandbox_id)
        self.announce(kind, record.id, sandbox.config.uid if sandbox else "")

    async def events(self) -> AsyncIterator[ContainerEvent]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue(10_000)
        self._listeners.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)
