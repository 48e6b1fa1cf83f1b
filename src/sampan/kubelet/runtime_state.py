"""What the runtime has of each pod: a cache of sandboxes and containers, refreshed one by one.

A runtime event carries only an id, so the cache asks for that one object again.  A full listing at the start, and
then seldom, repairs what a lost event would have left stale.  Upstream: ``pkg/kubelet/pleg`` (the evented PLEG).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sampan.kubelet.labels import CONTAINER_NAME, POD_UID
from sampan.runtime.base import ContainerStatus, NotFoundInRuntime, Runtime, SandboxStatus


@dataclass(frozen=True, slots=True)
class PodState:
    """All sandboxes and containers of one pod, oldest first."""

    sandboxes: tuple[SandboxStatus, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The sandbox that containers can be put into: the newest, if it is ready."""
        newest = self.newest_sandbox
        return newest if newest and newest.ready else None

    @property
    def newest_sandbox(self) -> SandboxStatus | None:
        return self.sandboxes[-1] if self.sandboxes else None

    def attempts(self, name: str) -> list[ContainerStatus]:
        """Every attempt at the container of this name, oldest first."""
        return [c for c in self.containers if container_name(c) == name]

    def latest(self, name: str) -> ContainerStatus | None:
        found = self.attempts(name)
        return found[-1] if found else None

    def running(self) -> list[ContainerStatus]:
        """Whatever may have a living process."""
        return [c for c in self.containers if c.state in ("running", "unknown")]


def container_name(status: ContainerStatus) -> str:
    return status.config.labels.get(CONTAINER_NAME) or status.config.name


class RuntimeCache:
    """The last known ``PodState`` of every pod uid on this node."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._sandboxes: dict[str, SandboxStatus] = {}
        self._containers: dict[str, ContainerStatus] = {}
        self._uid_of: dict[str, str] = {}
        self._ids: dict[str, set[str]] = {}

    def state(self, uid: str) -> PodState:
        ids = self._ids.get(uid, set())
        return PodState(
            tuple(sorted((self._sandboxes[i] for i in ids if i in self._sandboxes), key=_sandbox_age)),
            tuple(sorted((self._containers[i] for i in ids if i in self._containers), key=_container_age)),
        )

    def uids(self) -> set[str]:
        return set(self._ids)

    async def relist(self) -> set[str]:
        """Read everything again; returns the uids of the pods that changed."""
        sandboxes, containers = await self._runtime.list_pod_sandboxes(), await self._runtime.list_containers()
        before = {uid: self.state(uid) for uid in self._ids}
        live = {s.id for s in sandboxes} | {c.id for c in containers}
        for gone in [i for i in self._uid_of if i not in live]:
            self._forget(gone)
        self._remember(sandboxes, containers)
        return {uid for uid in before.keys() | self._ids.keys() if before.get(uid) != self.state(uid)}

    async def refresh_container(self, container_id: str) -> None:
        try:
            self._remember((), [await self._runtime.container_status(container_id)])
        except NotFoundInRuntime:
            self._forget(container_id)

    async def refresh_sandbox(self, sandbox_id: str) -> None:
        try:
            self._remember([await self._runtime.pod_sandbox_status(sandbox_id)], ())
        except NotFoundInRuntime:
            self._forget(sandbox_id)

    async def refresh(self, event_id: str) -> None:
        """After an event, which does not say whether the id is a sandbox's or a container's."""
        if event_id in self._sandboxes:
            await self.refresh_sandbox(event_id)
            return
        await self.refresh_container(event_id)
        if event_id not in self._containers:
            await self.refresh_sandbox(event_id)

    def _remember(self, sandboxes: Iterable[SandboxStatus], containers: Iterable[ContainerStatus]) -> None:
        for sandbox in sandboxes:
            self._sandboxes[sandbox.id] = sandbox
            self._own(sandbox.id, sandbox.config.uid)
        for container in containers:
            self._containers[container.id] = container
            self._own(container.id, container.config.labels.get(POD_UID, ""))

    def _own(self, object_id: str, uid: str) -> None:
        self._uid_of[object_id] = uid
        self._ids.setdefault(uid, set()).add(object_id)

    def _forget(self, object_id: str) -> None:
        self._sandboxes.pop(object_id, None)
        self._containers.pop(object_id, None)
        uid = self._uid_of.pop(object_id, None)
        if uid is not None and (ids := self._ids.get(uid)) is not None:
            ids.discard(object_id)
            if not ids:
                del self._ids[uid]


def _sandbox_age(status: SandboxStatus) -> tuple[int, float]:
    return status.config.attempt, status.created_at


def _container_age(status: ContainerStatus) -> tuple[int, float]:
    return status.config.attempt, status.created_at
