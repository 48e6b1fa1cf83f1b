"""What every controller is given, and what it must offer.

A controller registers for changes while it is built (no I/O), names the keys to look at again in its queue, and
reconciles one key at a time.  The runner owns the workers.  Upstream: ``cmd/kube-controller-manager/app``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sampan.api.clock import now as wall_clock
from sampan.api.resources import Resource
from sampan.client.events import EventRecorder
from sampan.client.informer import Informers
from sampan.client.queue import WorkQueue
from sampan.client.rest import Client

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """What the assembler decides. Names and defaults follow kube-controller-manager's flags."""

    cluster_cidr: str = "10.244.0.0/16"
    node_cidr_mask_size: int = 24
    root_ca_pem: str = ""
    issue_legacy_token: Callable[[Object, Object], str] | None = None
    node_monitor_grace_period_seconds: float = 50
    node_startup_grace_period_seconds: float = 60
    terminated_pod_gc_threshold: int = 12500
    event_ttl_seconds: float = 3600
    kubernetes_service: KubernetesService | None = None


@dataclass(frozen=True, slots=True)
class KubernetesService:
    """Where ``default/kubernetes`` leads: its cluster address, and the API server behind it."""

    cluster_ip: str
    address: str
    port: int = 6443


@dataclass(frozen=True, slots=True)
class Context:
    """One controller's view of the world: shared caches, its own client and event source, the clock."""

    informers: Informers
    client: Client
    events: EventRecorder
    config: Config = field(default_factory=Config)
    now: Callable[[], datetime] = wall_clock


@dataclass(frozen=True, slots=True)
class Note:
    """An event to record once the write it speaks of has succeeded."""

    reason: str
    message: str
    type: str = "Normal"


class Controller(Protocol):
    name: str
    queue: WorkQueue[str]
    workers: int

    async def reconcile(self, key: str) -> float | None:
        """Make it so. Raises: try again with back-off. Seconds returned: look again after these."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """What one call of a batch raised."""

    error: BaseException


async def gather_slowly(calls: Iterable[Callable[[], Awaitable[Any]]], first: int = 1) -> list[Any]:
    """Make the calls in batches of 1, 2, 4, …; stop after the first batch with a failure.

    A quota or a broken template refuses every one of them: then one refusal is met, not hundreds.
    Returns the results so far; a failed call's place holds a ``Failure``.
    """
    waiting, results, size = list(calls), [], first
    while waiting:
        batch, waiting = waiting[:size], waiting[size:]
        answers = await asyncio.gather(*(call() for call in batch), return_exceptions=True)
        results += [Failure(a) if isinstance(a, BaseException) else a for a in answers]
        if any(isinstance(a, BaseException) for a in answers):
            break
        size *= 2
    return results


def gvk(resource: Resource) -> Object:
    """The ``apiVersion`` and ``kind`` of a new object."""
    return {"apiVersion": resource.api_version, "kind": resource.kind}
