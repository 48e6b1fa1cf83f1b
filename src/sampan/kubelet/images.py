"""Getting the image of a container, by its ``imagePullPolicy``, with back-off per pod and image.

Pods that want the same image at the same time share one pull.  Upstream: ``pkg/kubelet/images/image_manager.go``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sampan.client.events import EventRecorder
from sampan.kubelet.containers import Container, Pod
from sampan.kubelet.pull_secrets import credentials_for
from sampan.runtime.base import Credentials, Image, ImagePullFailure, Runtime, RuntimeFailure

INITIAL_SECONDS, MAX_SECONDS = 10.0, 300.0
TELL_SECONDS = 2.0  # how long ErrImagePull shows before it becomes ImagePullBackOff

_REFERENCE = re.compile(
    r"^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,})?$"
)


class ImageProblem(Exception):
    """The image can't be had now. ``reason`` is the waiting reason; it is worth trying again at ``retry_at``."""

    def __init__(self, reason: str, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_at = retry_at


@dataclass(slots=True)
class _BackOff:
    seconds: float
    until: float
    error: str


class Images:
    """All pulls of one node."""

    def __init__(
        self, runtime: Runtime, events: EventRecorder, *, serialize: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._now = now
        self._turn = asyncio.Semaphore(1 if serialize else 1000)
        self._pulls: dict[tuple[str, tuple[Credentials, ...]], asyncio.Task[str]] = {}
        self._backoff: dict[tuple[str, str], _BackOff] = {}

    async def ensure(self, pod: Pod, container: Container, secrets: Sequence[Mapping[str, Any]]) -> Image:
        """The image, present on this node. Raises: ImageProblem."""
        asked = container.spec["image"]
        reference = with_tag(asked)
        if not _REFERENCE.match(reference):
            why = f'couldn\'t parse image name "{asked}": invalid reference format'
            why = f'Failed to apply default image tag "{asked}": {why}'
            self._tell(pod, container, "Warning", "InspectFailed", why)
            raise self._refused(pod, container, "InvalidImageName", why)
        policy = container.spec.get("imagePullPolicy") or default_policy(asked)
        image = await self._runtime.image_status(reference)
        if image is not None and policy != "Always":
            text = f'Container image "{asked}" already present on machine and can be accessed by the pod'
            self._tell(pod, container, "Normal", "Pulled", text)
            return image
        if policy == "Never":
            why = f'Container image "{asked}" is not present with pull policy of Never'
            self._tell(pod, container, "Warning", "ErrImageNeverPull", why)
            raise self._refused(pod, container, "ErrImageNeverPull", why)
        return await self._pull(pod, container, reference, secrets)

    def forget(self, uid: str) -> None:
        """The pod has gone: its back-offs too."""
        for key in [k for k in self._backoff if k[0] == uid]:
            del self._backoff[key]

    async def _pull(
        self, pod: Pod, container: Container, reference: str, secrets: Sequence[Mapping[str, Any]]
    ) -> Image:
        asked, key = container.spec["image"], (pod["metadata"]["uid"], reference)
        held = self._backoff.get(key)
        if held and held.until > self._now():
            self._tell(pod, container, "Normal", "BackOff", f'Back-off pulling image "{asked}"')
            why = f'Back-off pulling image "{asked}": {held.error}'
            raise self._refused(pod, container, "ImagePullBackOff", why, held.until)
        self._tell(pod, container, "Normal", "Pulling", f'Pulling image "{asked}"')
        begun = self._now()
        try:
            image_id = await self._shared_pull(reference, tuple(credentials_for(reference, secrets)))
            image = await self._runtime.image_status(image_id) or await self._runtime.image_status(reference)
            if image is None:
                raise ImagePullFailure(f"the runtime pulled {asked} but does not have it")
        except (RuntimeFailure, OSError) as error:
            raise self._failed(pod, container, key, error) from error
        self._backoff.pop(key, None)
        took = f"{self._now() - begun:.3f}s"
        self._tell(pod, container, "Normal", "Pulled", f'Successfully pulled image "{asked}" in {took} '
                   f"({took} including waiting). Image size: {image.size_bytes} bytes.")
        return image

    async def _shared_pull(self, reference: str, credentials: tuple[Credentials, ...]) -> str:
        key = (reference, credentials)
        task = self._pulls.get(key)
        if task is None:
            task = self._pulls[key] = asyncio.create_task(self._try_each(reference, credentials))
            task.add_done_callback(lambda _: self._pulls.pop(key, None))
        return await asyncio.shield(task)  # one pod's end must not take the image from the others

    async def _try_each(self, reference: str, credentials: tuple[Credentials, ...]) -> str:
        async with self._turn:
            for one in credentials[:-1]:
                try:
                    return await self._runtime.pull_image(reference, one)
                except ImagePullFailure:
                    continue
            return await self._runtime.pull_image(reference, credentials[-1] if credentials else None)

    def _failed(
        self, pod: Pod, container: Container, key: tuple[str, str], error: RuntimeFailure | OSError
    ) -> ImageProblem:
        reason = error.reason if isinstance(error, ImagePullFailure) else "ErrImagePull"
        held = self._backoff.get(key)
        seconds = min(held.seconds * 2, MAX_SECONDS) if held else INITIAL_SECONDS
        self._backoff[key] = _BackOff(seconds, self._now() + seconds, f"{reason}: {error}")
        asked = container.spec["image"]
        self._tell(pod, container, "Warning", "Failed", f'Failed to pull image "{asked}": {error}')
        return self._refused(pod, container, reason, str(error), self._now() + TELL_SECONDS)

    def _refused(
        self, pod: Pod, container: Container, reason: str, message: str, retry_at: float = 0.0
    ) -> ImageProblem:
        self._tell(pod, container, "Warning", "Failed", f"Error: {reason}")
        return ImageProblem(reason, message, retry_at or self._now() + INITIAL_SECONDS)

    def _tell(self, pod: Pod, container: Container, kind: str, reason: str, message: str) -> None:
        self._events.event(dict(pod), kind, reason, message, field_path=container.field_path)


def with_tag(image: str) -> str:
    """``nginx`` -> ``nginx:latest``; what has a tag or a digest stays."""
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def default_policy(image: str) -> str:
    return "Always" if with_tag(image).endswith(":latest") and "@" not in image else "IfNotPresent"
