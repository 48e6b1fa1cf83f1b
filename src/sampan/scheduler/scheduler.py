"""The shell: takes pods from the queue, places them, binds them, says why not.

The decision is synchronous and sees one state of the world; writing the binding is not waited for, so one slow write
does not hold up the next pod.  Upstream: ``pkg/scheduler/scheduler.go``, ``schedule_one.go``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import ApiError, NotFound
from sampan.api.resources import NAMESPACES, NODES, PODS, REPLICASETS, SERVICES
from sampan.client.events import EventRecorder
from sampan.client.informer import Informers
from sampan.client.rest import Client
from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.cycle import place
from sampan.scheduler.diagnosis import Unschedulable
from sampan.scheduler.framework import Event
from sampan.scheduler.plugins.rules import default_filters, default_scores
from sampan.scheduler.pod_info import PodInfo
from sampan.scheduler.queue import QueuedPod, SchedulingQueue
from sampan.scheduler.spreading import SpreadSelectors
from sampan.scheduler.watching import Watching

log = logging.getLogger(__name__)

Object = dict[str, Any]

STALE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Config:
    scheduler_name: str = "default-scheduler"
    seed: int | None = None  # of the choice among equal nodes


async def start(client: Client, informers: Informers, *, config: Config | None = None) -> Scheduler:
    """Start scheduling with caches shared with others in this process. ``close()`` ends it, not the informers."""
    scheduler = Scheduler(client, informers, config or Config())
    await informers.start()
    scheduler.run()
    return scheduler


class Scheduler:
    def __init__(self, client: Client, informers: Informers, config: Config,
                 now: Callable[[], datetime] = clock.now) -> None:
        self._client, self._now = client, now
        self._informers = informers
        self._events = EventRecorder(client, config.scheduler_name)
        self._filters, self._scores = default_filters(), default_scores()
        self._random = random.Random(config.seed)
        self._start = 0
        services, sets = informers.informer(SERVICES), informers.informer(REPLICASETS)
        self.cluster = ClusterState(SpreadSelectors(services, sets))
        wanted_by = {event: frozenset(rule.name for rule in self._filters if event in rule.events) for event in Event}
        self.queue = SchedulingQueue(wanted_by, asyncio.get_running_loop().time)
        watching = Watching(self.cluster, self.queue, config.scheduler_name)
        informers.informer(NAMESPACES).on_change(watching.namespace_changed)
        informers.informer(NODES).on_change(watching.node_changed)
        informers.informer(PODS).on_change(watching.pod_changed)
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        self._spawn(self._loop())
        self._spawn(self._retry_stale())

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._events.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _loop(self) -> None:
        for resource in (NODES, PODS, NAMESPACES, SERVICES, REPLICASETS):
            await self._informers.informer(resource).synced()
        while True:
            entry = await self.queue.pop()
            try:
                self._place(entry)
            except Exception:
                log.exception("placing failed pod=%s", meta.key(entry.pod))
                self._again_later(entry)
            await asyncio.sleep(0)  # a long queue must not keep the loop from everybody else

    async def _retry_stale(self) -> None:
        while True:
            await asyncio.sleep(STALE_SECONDS / 5)
            self.queue.retry_stale(STALE_SECONDS)

    def _place(self, entry: QueuedPod) -> None:
        pod = PodInfo(entry.pod)
        try:
            chosen = place(pod, self.cluster, self._filters, self._scores, self._start, self._random.choice)
        except Unschedulable as error:
            self.queue.unschedulable(entry, error.diagnosis.rules)
            self._spawn(self._report(entry.pod, "Unschedulable", str(error)))
            return
        self._start = chosen.next_start
        self.cluster.assume(pod, chosen.node_name)
        self._spawn(self._bind(entry, pod, chosen.node_name))

    async def _bind(self, entry: QueuedPod, pod: PodInfo, node_name: str) -> None:
        name, namespace = meta.name(entry.pod), pod.namespace
        binding = {"apiVersion": "v1", "kind": "Binding",
                   "metadata": {"name": name, "namespace": namespace, "uid": pod.uid},
                   "target": {"kind": "Node", "name": node_name}}
        try:
            await self._client.create(PODS, binding, namespace, subresource="binding", name=name)
        except NotFound:
            self._take_back(pod)
            self.queue.remove(pod.uid)
        except ApiError as error:
            self._take_back(pod)
            await self._report(entry.pod, "SchedulerError", f"binding rejected: {error}")
            self._again_later(entry)
        else:
            self.queue.remove(pod.uid)
            message = f"Successfully assigned {pod.key} to {node_name}"
            self._events.event(entry.pod, "Normal", "Scheduled", message)

    def _take_back(self, pod: PodInfo) -> None:
        if self.cluster.is_assumed(pod.uid):
            self.cluster.forget(pod)
            self.queue.happened(Event.POD_REMOVED)

    def _again_later(self, entry: QueuedPod) -> None:
        seconds = self.queue.failed(entry)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self.queue.retry, meta.uid(entry.pod))

    async def _report(self, pod: Object, reason: str, message: str) -> None:
        self._events.event(pod, "Warning", "FailedScheduling", message)
        patch = condition_patch(pod, reason, message, self._now())
        if patch is None:
            return
        try:
            await self._client.patch(PODS, meta.name(pod), patch, pod["metadata"]["namespace"], subresource="status")
        except NotFound:
            self.queue.remove(meta.uid(pod))
        except ApiError as error:
            log.warning("status not written pod=%s error=%s", meta.key(pod), error)


def condition_patch(pod: Object, reason: str, message: str, now: datetime) -> Object | None:
    """The patch that makes PodScheduled say why not; None when it says so already."""
    fresh = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    current = meta.condition(pod, "PodScheduled") or {}
    if all(current.get(name) == value for name, value in fresh.items()):
        return None
    if current.get("status") != "False":
        fresh["lastTransitionTime"] = clock.rfc3339(now)
    return {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": [fresh]}}
