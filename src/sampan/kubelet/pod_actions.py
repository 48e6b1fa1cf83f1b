"""Carries out what was planned for one pod: each action a task of its own, at most one per key.

What is under way, and what failed, is part of what the next plan sees; nothing here decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from sampan.api.errors import ApiError
from sampan.kubelet import remains
from sampan.kubelet.actions import (
    SANDBOX,
    Action,
    CreateSandbox,
    Failure,
    Finish,
    RemoveContainer,
    RemoveSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    Unmount,
)
from sampan.kubelet.containers import Pod, container_named, pod_text
from sampan.kubelet.context import Context
from sampan.kubelet.runtime_state import PodState
from sampan.kubelet.sandbox import sandbox_config
from sampan.kubelet.start import Start, StartFailure
from sampan.kubelet.stop import stop_container
from sampan.kubelet.volumes.base import VolumeError
from sampan.kubelet.volumes.pod_volumes import PodVolumes
from sampan.runtime.base import RuntimeFailure

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class PodActions:
    """``look()`` gives the pod and what runs of it, as they are now; ``wake()`` makes the worker plan again."""

    def __init__(
        self, context: Context, uid: str, look: Callable[[], tuple[Pod, PodState]], wake: Callable[[], None]
    ) -> None:
        self.failures: dict[str, Failure] = {}
        self.hooking: set[str] = set()
        self.stopping: dict[str, float] = {}
        self.stopped: set[str] = set()
        self.unmounted = False
        self.finished = False
        self.in_api = True
        self._context = context
        self._uid = uid
        self._look = look
        self._wake = wake
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starts: dict[str, Start] = {}
        self._volumes = PodVolumes(context.config.pod_dir(uid), context.volumes)

    def busy(self) -> frozenset[str]:
        """The names whose start is under way."""
        names = {key.partition(" ")[2] for key in self._tasks if key.startswith("start ")}
        return frozenset(names | {SANDBOX} if "sandbox" in self._tasks else names)

    def launch(self, action: Action) -> None:
        """Begin, unless the same is under way."""
        if isinstance(action, StopContainer):
            hurried = action.id in self.stopping
            self.stopping[action.id] = action.deadline
            self._spawn(action.key, self._stop(action, hurried))
        elif action.key not in self._tasks:
            self._spawn(action.key, self._perform(action))

    def refresh(self) -> None:
        """Bring the files of ConfigMaps, Secrets, tokens and labels up to date."""
        if "refresh" not in self._tasks and not self.unmounted:
            self._spawn("refresh", self._refresh())

    @property
    def refreshing(self) -> bool:
        return "refresh" in self._tasks

    def interrupt_starts(self) -> None:
        """The pod is to end: give up starts that still wait for volumes or an image, not what the runtime is doing."""
        for name, start in self._starts.items():
            if not start.at_runtime and (task := self._tasks.get(f"start {name}")):
                task.cancel()

    async def close(self) -> None:
        """Let go without stopping anything: the containers stay."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _spawn(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[key] = asyncio.get_running_loop().create_task(work, name=f"{key} of {self._uid}")
        task.add_done_callback(lambda done: self._done(key, done))

    def _done(self, key: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("pod action failed action=%s uid=%s", key, self._uid, exc_info=error)
        self._wake()

    async def _perform(self, action: Action) -> None:
        try:
            await self._dispatch(action)
        except (RuntimeFailure, ApiError, OSError, VolumeError) as error:
            pod, _ = self._look()
            log.warning("pod action failed action=%s pod=%s error=%s", action.key, pod_text(pod), error)
            await asyncio.sleep(RETRY_SECONDS)  # keeps the key under way, so the plan does not repeat it at once
        except Exception:
            log.exception("pod action failed action=%s uid=%s", action.key, self._uid)
            await asyncio.sleep(RETRY_SECONDS)

    async def _dispatch(self, action: Action) -> None:
        runtime, cache = self._context.runtime, self._context.cache
        match action:
            case CreateSandbox():
                await self._create_sandbox(action)
            case StartContainer():
                await self._start(action)
            case StopSandbox(id=sandbox_id):
                await runtime.stop_pod_sandbox(sandbox_id)
                self.stopped.add(sandbox_id)
                await cache.refresh_sandbox(sandbox_id)
            case RemoveSandbox(id=sandbox_id):
                await runtime.remove_pod_sandbox(sandbox_id)
                await cache.refresh_sandbox(sandbox_id)
            case RemoveContainer(id=container_id):
                await runtime.remove_container(container_id)
                await cache.refresh_container(container_id)
            case Unmount():
                await self._volumes.tear_down()
                self._context.objects.release(self._uid)
                self._context.tokens.forget(self._uid)
                self.unmounted = True
            case Finish():
                pod, state = self._look()
                if self.in_api:
                    await remains.delete_pod(self._context, pod)
                async with self._context.sweeping:
                    await remains.remove(self._context, pod, state)
                self.finished = True

    async def _create_sandbox(self, action: CreateSandbox) -> None:
        pod, _ = self._look()
        context = self._context
        preparing = asyncio.create_task(self._prepare(pod))
        try:
            async with context.slots:
                cgroup = await asyncio.to_thread(context.cgroups.create, pod)
                config = sandbox_config(pod, action.attempt, context.config, context.resolver, cgroup)
                sandbox_id = await context.runtime.run_pod_sandbox(config)
            await context.cache.refresh_sandbox(sandbox_id)
            self.failures.pop(SANDBOX, None)
        except (RuntimeFailure, OSError) as error:
            context.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            retry_at = context.now() + RETRY_SECONDS
            self.failures[SANDBOX] = Failure("ContainerCreating", str(error), retry_at)
        finally:
            preparing.add_done_callback(_forget_error)

    async def _prepare(self, pod: Pod) -> None:
        """Volumes and objects take shape beside the sandbox; whatever fails is met again, and told, by the start."""
        await self._context.objects.hold(pod)
        await self._volumes.set_up(pod)

    async def _start(self, action: StartContainer) -> None:
        pod, state = self._look()
        container, sandbox = container_named(pod, action.name), state.sandbox
        if container is None or sandbox is None:
            return
        start = Start(self._context, pod, container, action, sandbox, state, self._volumes, self._hook)
        self._starts[action.name] = start
        try:
            await start.run()
            self.failures.pop(action.name, None)
        except StartFailure as error:
            self.failures[action.name] = Failure(error.reason, str(error), error.retry_at)
        finally:
            del self._starts[action.name]

    def _hook(self, container_id: str, begins: bool) -> None:
        if begins:
            self.hooking.add(container_id)
        else:
            self.hooking.discard(container_id)

    async def _stop(self, action: StopContainer, hurried: bool) -> None:
        pod, state = self._look()
        try:
            await stop_container(self._context, pod, state, action, hurried=hurried)
        finally:
            if not hurried:
                self.stopping.pop(action.id, None)

    async def _refresh(self) -> None:
        pod, _ = self._look()
        try:
            await self._volumes.refresh(pod)
        except (ApiError, VolumeError, OSError, TimeoutError) as error:
            log.warning("volumes were not refreshed pod=%s error=%s", pod_text(pod), error)
            await asyncio.sleep(2 * RETRY_SECONDS)


def _forget_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
