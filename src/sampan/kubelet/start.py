"""Starting one container, from its spec to its postStart hook.

What can't be started leaves a ``StartFailure`` with the waiting reason that users see.  The stages, in order: volumes
and referenced objects, image, configuration, create, start, hook.  Upstream:
``pkg/kubelet/kuberuntime/kuberuntime_container.go`` ``startContainer``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sampan.api.errors import ApiError
from sampan.kubelet.actions import StartContainer
from sampan.kubelet.container_config import check_supported, container_config, container_environment
from sampan.kubelet.container_mounts import hosts_mount, termination_mount, volume_mounts
from sampan.kubelet.containers import Container, Pod
from sampan.kubelet.context import Context
from sampan.kubelet.env import ConfigError
from sampan.kubelet.hooks import HookFailure, run_hook
from sampan.kubelet.images import ImageProblem
from sampan.kubelet.runtime_state import PodState
from sampan.kubelet.volumes.base import VolumeError
from sampan.kubelet.volumes.pod_volumes import PodVolumes
from sampan.runtime.base import ContainerConfig, Image, Mount, RuntimeFailure, SandboxStatus

RETRY_SECONDS = 10.0


class StartFailure(Exception):
    """``reason`` is the waiting reason, ``retry_at`` when another try is worth it."""

    def __init__(self, reason: str, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_at = retry_at


@dataclass(slots=True)
class Start:
    """One start under way. ``hooking(id, True/False)`` is told when the postStart hook begins and ends."""

    context: Context
    pod: Pod
    container: Container
    action: StartContainer
    sandbox: SandboxStatus
    state: PodState
    volumes: PodVolumes
    hooking: Callable[[str, bool], None]
    at_runtime: bool = False  # from here on a cancellation could leave the runtime half-way

    async def run(self) -> None:
        """Raises: StartFailure."""
        await self._prepare_volumes()
        image = await self._image()
        config = await self._config(image)
        async with self.context.slots:
            self.at_runtime = True
            container_id = await self._create(config)
            await self._start(container_id)
            self.at_runtime = False
        await self._post_start(container_id)

    async def _prepare_volumes(self) -> None:
        try:
            await self.volumes.set_up(self.pod)
            await self.context.objects.hold(self.pod)
        except VolumeError as error:
            self._tell("Warning", "FailedMount", str(error), field_path="")
            raise self._failure("ContainerCreating", "") from error
        except (ApiError, OSError, TimeoutError) as error:
            self._tell("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}", field_path="")
            raise self._failure("ContainerCreating", "") from error

    async def _image(self) -> Image:
        named = [s["name"] for s in self.pod["spec"].get("imagePullSecrets") or () if s.get("name")]
        namespace = self.pod["metadata"]["namespace"]
        secrets: list[Any] = [self.context.objects.cached("secrets", namespace, name) for name in named]
        try:
            return await self.context.images.ensure(self.pod, self.container, [s for s in secrets if s])
        except ImageProblem as error:
            raise StartFailure(error.reason, str(error), error.retry_at) from error
        except RuntimeFailure as error:
            why = f'Failed to inspect image "{self.container.spec["image"]}": {error}'
            raise self._failure("ImageInspectError", why) from error

    async def _config(self, image: Image) -> ContainerConfig:
        try:
            check_supported(self.container)
            env = container_environment(self.context, self.pod, self.container, self.sandbox)
            mounts, termination = await asyncio.to_thread(self._mounts, env)
            return container_config(
                self.context, self.pod, self.container, self.action,
                image=image, env=env, mounts=mounts, termination_file=termination, pid_target=self._pid_target(),
            )
        except ConfigError as error:
            self._tell("Warning", "Failed", f"Error: {error}")
            raise self._failure("CreateContainerConfigError", str(error)) from error

    def _mounts(self, env: dict[str, str]) -> tuple[tuple[Mount, ...], str]:
        context, pod_dir = self.context, self.volumes.directory
        mounts = volume_mounts(self.pod, self.container, self.volumes.paths, env, pod_dir, context.volumes.mounter)
        mounts += hosts_mount(self.pod, self.container, self.sandbox, pod_dir, context.config.cluster_domain)
        termination = termination_mount(self.container, self.action.attempt, pod_dir)
        return (*mounts, termination), termination.host_path

    def _pid_target(self) -> str:
        target = self.container.spec.get("targetContainerName")
        status = self.state.latest(target) if target else None
        return status.id if status and status.state == "running" else ""

    async def _create(self, config: ContainerConfig) -> str:
        try:
            container_id = await self.context.runtime.create_container(self.sandbox.id, config)
        except (RuntimeFailure, OSError) as error:
            self._tell("Warning", "Failed", f"Error: {error}")
            raise self._failure("CreateContainerError", str(error)) from error
        await self.context.cache.refresh_container(container_id)
        self._tell("Normal", "Created", "Container created")
        return container_id

    async def _start(self, container_id: str) -> None:
        try:
            await self.context.runtime.start_container(container_id)
        except (RuntimeFailure, OSError) as error:
            self._tell("Warning", "Failed", f"Error: {error}")
            raise self._failure("RunContainerError", str(error)) from error
        finally:
            if (self.container.spec.get("lifecycle") or {}).get("postStart"):
                self.hooking(container_id, True)  # before anybody sees it running
            await self.context.cache.refresh_container(container_id)
        self._tell("Normal", "Started", "Container started")

    async def _post_start(self, container_id: str) -> None:
        hook = (self.container.spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        host = self.sandbox.ips[0] if self.sandbox.ips else self.context.config.node_ip
        try:
            await run_hook(self.context.runtime, self.pod, self.container, container_id, host, hook)
        except HookFailure as error:
            self._tell("Warning", "FailedPostStartHook", "PostStartHook failed")
            self._tell("Normal", "Killing", "FailedPostStartHook")
            await self.context.runtime.stop_container(container_id, 0)
            await self.context.cache.refresh_container(container_id)
            raise StartFailure("PostStartHookError", str(error), 0) from error
        finally:
            self.hooking(container_id, False)

    def _failure(self, reason: str, message: str) -> StartFailure:
        return StartFailure(reason, message, self.context.now() + RETRY_SECONDS)

    def _tell(self, kind: str, reason: str, message: str, field_path: str | None = None) -> None:
        where = self.container.field_path if field_path is None else field_path
        self.context.event(self.pod, kind, reason, message, where)
