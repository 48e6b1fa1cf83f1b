"""What the workers of all pods share: the seams, the node's settings, and the limit on concurrent starts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sampan.client.events import EventRecorder
from sampan.client.rest import Client
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.containers import Pod
from sampan.kubelet.images import Images
from sampan.kubelet.objects import ReferencedObjects
from sampan.kubelet.resolv import Resolver
from sampan.kubelet.runtime_state import RuntimeCache
from sampan.kubelet.status_writer import StatusWriter
from sampan.kubelet.tokens import PodTokens
from sampan.kubelet.volumes.pod_volumes import Providers
from sampan.runtime.base import Runtime


class PodCgroups(Protocol):
    def create(self, pod: Pod) -> str: ...
    def remove(self, uid: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """``slots`` bounds how many sandboxes and containers are being made at once: more only wait for the CPU.

    ``sweeping`` lets the remains of one pod at a time be removed, so that it never competes with pods that still run.
    """

    config: KubeletConfig
    client: Client
    runtime: Runtime
    cache: RuntimeCache
    events: EventRecorder
    images: Images
    objects: ReferencedObjects
    tokens: PodTokens
    volumes: Providers
    cgroups: PodCgroups
    status: StatusWriter
    resolver: Resolver
    services: Callable[[], list[Mapping[str, Any]]]
    memory_bytes: int
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    sweeping: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    now: Callable[[], float] = time.time

    @property
    def host_ips(self) -> tuple[str, ...]:
        return (self.config.node_ip,)

    def event(self, pod: Pod, kind: str, reason: str, message: str, field_path: str = "") -> None:
        self.events.event(dict(pod), kind, reason, message, field_path=field_path)
