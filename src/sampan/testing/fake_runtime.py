"""A runtime in memory: containers that live, crash and ignore signals by script, in the running loop's time.

It counts what is made, so tests can say that nothing was started twice.  With ``crash_after`` set to n, the n-th call
and all later ones never return, so tests can stop an agent at any point and let the next one take over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from sampan.runtime.base import (
    ContainerConfig,
    ContainerEvent,
    ContainerStats,
    ContainerStatus,
    Credentials,
    ExecResult,
    Image,
    ImagePullFailure,
    NotFoundInRuntime,
    Process,
    Resources,
    RuntimeFailure,
    SandboxConfig,
    SandboxStatus,
)

UID_LABEL = "io.kubernetes.pod.uid"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a container's process does. ``exit_after`` ``None``: it runs until it is stopped."""

    exit_after: float | None = None
    exit_code: int = 0
    ignores_term: bool = False
    term_seconds: float = 0.0
    start_error: str = ""


class FakeRuntime:
    """``behaviours`` maps a container name, or ``name#attempt``, to what it does; the default runs for ever."""

    def __init__(self, now: Callable[[], float], images: Sequence[str] = ("app:1",)) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.exec_results: dict[tuple[str, ...], ExecResult] = {}
        self.pull_errors: dict[str, ImagePullFailure] = {}
        self.sandbox_error = ""
        self.create_seconds = 0.03
        self.calls: list[tuple[str, str]] = []
        self.started: Counter[str] = Counter()  # by "uid/name#attempt"
        self.crash_after: int | None = None
        self.log_root = ""
        self._now = now
        self._images = {tag: Image(f"sha256:{tag}", (tag,), (), 1000) for tag in images}
        self._sandboxes: dict[str, SandboxStatus] = {}
        self._containers: dict[str, ContainerStatus] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self._queues: list[asyncio.Queue[ContainerEvent]] = []
        self._next = 0

    # what tests do

    def kill(self, name: str, exit_code: int = 137) -> None:
        """The process of every running container of this name dies by itself."""
        for status in list(self._containers.values()):
            if status.config.name == name and status.state == "running":
                self._end(status.id, exit_code)

    def kill_sandbox(self) -> None:
        """Every pause process dies."""
        for status in list(self._sandboxes.values()):
            self._sandboxes[status.id] = replace(status, ready=False, pid=0)
            self._emit("stopped", status.config.uid, status.id)

    def running(self) -> list[str]:
        return sorted(c.config.name for c in self._containers.values() if c.state == "running")

    # the Runtime protocol

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        self._queues.clear()

    def version(self) -> str:
        return "fake://1.0"

    async def run_pod_sandbox(self, config: SandboxConfig) -> str:
        await self._step("run_pod_sandbox", config.name)
        if self.sandbox_error:
            raise RuntimeFailure(self.sandbox_error)
        sandbox_id = self._id("s")
        ips = () if config.network == "node" else (f"10.244.0.{len(self._sandboxes) + 2}",)
        self._sandboxes[sandbox_id] = SandboxStatus(sandbox_id, True, self._now(), ips, 1, "/netns", config)
        self._emit("started", config.uid, sandbox_id)
        await self._step("run_pod_sandbox done", config.name)
        return sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        await self._step("stop_pod_sandbox", sandbox_id)
        for status in list(self._containers.values()):
            if status.sandbox_id == sandbox_id and status.state == "running":
                self._end(status.id, 137)
        if (sandbox := self._sandboxes.get(sandbox_id)) is not None:
            self._sandboxes[sandbox_id] = replace(sandbox, ready=False, pid=0, ips=sandbox.ips)
            self._emit("stopped", sandbox.config.uid, sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self._step("remove_pod_sandbox", sandbox_id)
        for status in [c for c in self._containers.values() if c.sandbox_id == sandbox_id]:
            await self.remove_container(status.id)
        self._sandboxes.pop(sandbox_id, None)

    async def pod_sandbox_status(self, sandbox_id: str) -> SandboxStatus:
        if sandbox_id not in self._sandboxes:
            raise NotFoundInRuntime(f"no sandbox {sandbox_id}")
        return self._sandboxes[sandbox_id]

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        return list(self._sandboxes.values())

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        await self._step("create_container", config.name)
        sandbox = await self.pod_sandbox_status(sandbox_id)
        if not sandbox.ready:
            raise RuntimeFailure(f"sandbox {sandbox_id} is not running")
        await asyncio.sleep(self.create_seconds)
        container_id = self._id("c")
        log_path = f"{sandbox.config.log_directory}/{config.log_path}"
        self._containers[container_id] = ContainerStatus(
            container_id, sandbox_id, "created", self._now(), 0, 0, 0, "", "", 0, config.image, config.image, log_path,
            config,
        )
        self._ended[container_id] = asyncio.Event()
        await self._step("create_container done", config.name)
        return container_id

    async def start_container(self, container_id: str) -> None:
        status = await self.container_status(container_id)
        await self._step("start_container", status.config.name)
        config = status.config
        behaviour = self._behaviour(config)
        self.started[f"{config.labels[UID_LABEL]}/{config.name}#{config.attempt}"] += 1
        if behaviour.start_error:
            self._containers[container_id] = replace(status, state="running", started_at=self._now())
            self._end(container_id, 128, "ContainerCannotRun")
            raise RuntimeFailure(behaviour.start_error)
        self._containers[container_id] = replace(status, state="running", started_at=self._now(), pid=100)
        if behaviour.exit_after is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(behaviour.exit_after, self._end, container_id, behaviour.exit_code)
            self._timers[container_id] = timer
        self._emit("started", config.labels[UID_LABEL], container_id)
        await self._step("start_container done", config.name)

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        if (status := self._containers.get(container_id)) is None or status.state != "running":
            return
        await self._step("stop_container", status.config.name)
        behaviour = self._behaviour(status.config)
        loop = asyncio.get_running_loop()
        if behaviour.ignores_term or behaviour.term_seconds > timeout_seconds:
            loop.call_later(timeout_seconds, self._end, container_id, 137)
        else:
            loop.call_later(behaviour.term_seconds, self._end, container_id, 143)
        await self._ended[container_id].wait()

    async def remove_container(self, container_id: str) -> None:
        if (status := self._containers.get(container_id)) is None:
            return
        await self._step("remove_container", status.config.name)
        del self._containers[container_id]
        self._emit("deleted", status.config.labels[UID_LABEL], container_id)

    async def container_status(self, container_id: str) -> ContainerStatus:
        if container_id not in self._containers:
            raise NotFoundInRuntime(f"no container {container_id}")
        return self._containers[container_id]

    async def list_containers(self) -> Sequence[ContainerStatus]:
        return list(self._containers.values())

    async def update_container_resources(self, container_id: str, resources: Resources) -> None:
        status = await self.container_status(container_id)
        self._containers[container_id] = replace(status, config=replace(status.config, resources=resources))

    async def reopen_container_log(self, container_id: str) -> None:
        await self._step("reopen_container_log", container_id)

    async def container_stats(self, container_id: str) -> ContainerStats:
        return ContainerStats(container_id, self._now(), 10**9, 1 << 20, 1 << 20, 4096)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        status = await self.container_status(container_id)
        self.calls.append(("exec_sync", f"{status.config.name}: {' '.join(command)}"))
        if command and command[0] == "sleep":
            async with asyncio.timeout(timeout_seconds):
                await asyncio.sleep(float(command[1]))
        return self.exec_results.get(tuple(command), ExecResult(0, b"", b""))

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> Process:
        raise RuntimeFailure("the fake runtime has no processes to exec")

    async def attach(self, container_id: str, *, stdin: bool) -> Process:
        raise RuntimeFailure("the fake runtime has no processes to attach to")

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise ConnectionRefusedError(f"nothing listens on port {port}")

    async def events(self) -> AsyncIterator[ContainerEvent]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._queues.append(queue)
        while True:
            yield await queue.get()

    async def image_status(self, reference: str) -> Image | None:
        by_id = {image.id: image for image in self._images.values()}
        return self._images.get(reference) or by_id.get(reference)

    async def list_images(self) -> Sequence[Image]:
        return list(self._images.values())

    async def pull_image(self, reference: str, credentials: Credentials | None = None) -> str:
        await self._step("pull_image", reference)
        await asyncio.sleep(0.5)
        if reference in self.pull_errors:
            raise self.pull_errors[reference]
        self._images[reference] = Image(f"sha256:{reference}", (reference,), (), 1000)
        return self._images[reference].id

    async def remove_image(self, reference: str) -> None:
        self._images.pop(reference, None)

    # inside

    def _behaviour(self, config: ContainerConfig) -> Behaviour:
        found: Mapping[str, Behaviour] = self.behaviours
        return found.get(f"{config.name}#{config.attempt}") or found.get(config.name) or Behaviour()

    async def _step(self, verb: str, name: str) -> None:
        """Every verb passes here, before and (where something was made) after its effect."""
        self.calls.append((verb, name))
        if self.crash_after is not None:
            self.crash_after -= 1
            if self.crash_after < 0:
                await asyncio.Event().wait()  # the agent that called is dead from here on
        await asyncio.sleep(0)

    def _end(self, container_id: str, exit_code: int, reason: str = "") -> None:
        status = self._containers.get(container_id)
        if status is None or status.state != "running":
            return
        if timer := self._timers.pop(container_id, None):
            timer.cancel()
        reason = reason or ("Completed" if exit_code == 0 else "Error")
        self._containers[container_id] = replace(
            status, state="exited", finished_at=self._now(), exit_code=exit_code, reason=reason, pid=0
        )
        self._ended[container_id].set()
        self._emit("stopped", status.config.labels[UID_LABEL], container_id)

    def _emit(self, kind: str, uid: str, object_id: str) -> None:
        typed = cast(Literal["created", "started", "stopped", "deleted"], kind)
        for queue in self._queues:
            queue.put_nowait(ContainerEvent(typed, uid, object_id))

    def _id(self, prefix: str) -> str:
        self._next += 1
        return f"{prefix}{self._next:04d}"
