"""All verbs of the native runtime on one screen. Each is a file of its own; here they only get their records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sampan import __version__
from sampan.runtime.base import (
    ContainerConfig,
    ContainerEvent,
    ContainerStats,
    ContainerStatus,
    Credentials,
    ExecResult,
    Image,
    Process,
    Resources,
    SandboxConfig,
    SandboxStatus,
)
from sampan.runtime.images.store import ImageStore
from sampan.runtime.native import attach, container, exec, exits, host, port_forward, sandbox, start, stats, stop
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.recover import prepare, recover
from sampan.runtime.native.state import NodeState

if TYPE_CHECKING:
    from sampan.network.base import PodNetwork
    from sampan.runtime.images.pull import Puller


class NativeRuntime:
    """``base.Runtime`` with overlayfs, conmon and runc or crun. Stop and remove of what is gone succeed."""

    def __init__(self, config: NativeConfig, network: PodNetwork) -> None:
        self._config = config.checked()
        self._state = NodeState(self._config, network, ImageStore(config.images), host.look())
        self._watches: list[exits.DirectoryWatch] = []
        self._puller: Puller | None = None

    async def start(self) -> None:
        state = self._state
        await asyncio.to_thread(prepare, state)
        # Watch first, then look: an exit in between is seen twice, never missed.
        self._watches = [
            exits.DirectoryWatch(self._config.state / "exits", lambda name: exits.look(state, name)),
            exits.DirectoryWatch(self._config.state / "exec", self._exec_begun),
        ]
        await recover(state)

    def _exec_begun(self, name: str) -> None:
        if event := self._state.exec_begun.get(name):
            event.set()

    async def close(self) -> None:
        await self._state.settle()
        for watch in self._watches:
            watch.close()
        for record_id in list(self._state.watches):
            self._state.unwatch(record_id)

    def version(self) -> str:
        return f"sampan://{__version__}"

    # Sandboxes

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        return await self._state.whole(sandbox.run(self._state, config))

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        if record := self._state.sandboxes.get(sandbox_id):
            await self._state.whole(sandbox.stop_sandbox(self._state, record))

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        if record := self._state.sandboxes.get(sandbox_id):
            await self._state.whole(sandbox.remove(self._state, record))

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        return self._state.sandbox(sandbox_id).status()

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        return [s.status() for s in self._state.sandboxes.values() if s.phase != "creating"]

    # Containers

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        return await self._state.whole(container.create(self._state, sandbox_id, config))

    async def start_container(self, container_id: str) -> None:
        await self._state.whole(start.start(self._state, self._state.container(container_id)))

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        if record := self._state.containers.get(container_id):
            await stop.stop(self._state, record, timeout_seconds)

    async def remove_container(self, container_id: str) -> None:
        if record := self._state.containers.get(container_id):
            await self._state.whole(container.remove(self._state, record))

    async def container_status(self, container_id: str) -> ContainerStatus:
        return self._state.container(container_id).status()

    async def list_containers(self) -> Sequence[ContainerStatus]:
        return [c.status() for c in self._state.containers.values()]

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        await stats.update_resources(self._state, self._state.container(container_id), resources)

    async def reopen_container_log(self, container_id: str) -> None:
        await attach.reopen_log(self._state, self._state.container(container_id))

    async def container_stats(self, container_id: str) -> ContainerStats:
        return await stats.stats(self._state, self._state.container(container_id))

    # Streams

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        return await exec.exec_sync(self._state, self._state.container(container_id), command, timeout_seconds)

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> Process:
        return await exec.exec_(self._state, self._state.container(container_id), command, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, *, stdin: bool) -> Process:
        return await attach.attach(self._state, self._state.container(container_id), stdin=stdin)

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await port_forward.port_forward(self._state.sandbox(sandbox_id), port)

    def events(self) -> AsyncIterator[ContainerEvent]:
        return self._state.events()

    # Images

    async def image_status(self, reference: str) -> Image | None:
        def find() -> Image | None:
            record = self._state.images.find(reference)
            return self._state.images.image(record) if record else None

        return await asyncio.to_thread(find)

    async def list_images(self) -> Sequence[Image]:
        return await asyncio.to_thread(self._state.images.images)

    async def pull_image(self, reference: str, credentials: Credentials | None = None) -> str:
        if self._puller is None:
            from sampan.runtime.images.pull import Puller  # aiohttp's client is loaded with the first pull

            self._puller = Puller(
                self._state.images, mirrors=self._config.registry_mirrors, insecure=self._config.insecure_registries
            )
        return await self._puller.pull(reference, credentials or Credentials())

    async def remove_image(self, reference: str) -> None:
        await asyncio.to_thread(self._state.images.remove, reference)
