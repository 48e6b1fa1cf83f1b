"""Pods that nobody will end: of nodes that are gone, deleted before they were placed, or finished and too many.

A node may be gone for a moment only (its agent registers again), so 40 seconds pass and the server is asked before its
pods are written off.  Upstream: ``pkg/controller/podgc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import Conflict, NotFound
from sampan.api.resources import NODES, PODS
from sampan.client.queue import WorkQueue
from sampan.controllers import podstate
from sampan.controllers.base import Context

Object = dict[str, Any]

QUARANTINE_SECONDS = 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
BY_NODE = "node-name"


@dataclass(frozen=True, slots=True)
class Plan:
    """``force``: pods to end for good now, with what to say about it."""

    force: tuple[tuple[Object, str], ...] = ()


def plan(pods: Sequence[Object], nodes: Mapping[str, Object | None], threshold: int) -> Plan:
    """``nodes`` maps the names of nodes that pods are on; None: known to be gone."""
    doomed: dict[str, tuple[Object, str]] = {}
    for pod in terminated_beyond(pods, threshold):
        doomed[meta.uid(pod)] = (pod, "")
    for pod in pods:
        name, deleted = podstate.node_name(pod), meta.is_deleted(pod)
        if not name:
            if deleted:
                doomed[meta.uid(pod)] = (pod, "")
            continue
        node = nodes.get(name, {})
        if node is None:
            doomed[meta.uid(pod)] = (pod, "PodGC: node no longer exists")
        elif deleted and _out_of_service(node):
            doomed[meta.uid(pod)] = (pod, "PodGC: node has out-of-service taint")
    return Plan(tuple(doomed.values()))


def terminated_beyond(pods: Iterable[Object], threshold: int) -> list[Object]:
    """The oldest finished pods beyond ``threshold``; 0 or less: none."""
    if threshold <= 0:
        return []
    finished = [pod for pod in pods if podstate.is_finished(pod)]
    finished.sort(key=lambda pod: (meta.metadata(pod).get("creationTimestamp") or "", meta.name(pod)))
    return finished[:max(0, len(finished) - threshold)]


def _out_of_service(node: Object) -> bool:
    return not meta.is_true(node, "Ready") and any(
        taint["key"] == OUT_OF_SERVICE for taint in (node.get("spec") or {}).get("taints") or ())


def failed_status(pod: Object, message: str, now: datetime) -> Object:
    """What the pod says of itself at the end: it failed, and who ended it."""
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": message,
                 "lastTransitionTime": clock.rfc3339(now)}
    return {"metadata": {"uid": meta.uid(pod)}, "status": {"phase": "Failed", "conditions": [condition]}}


class PodGarbageController:
    name = "pod-garbage-collector"
    workers = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._pods = context.informers.informer(PODS)
        self._nodes = context.informers.informer(NODES)
        self._pods.add_index(BY_NODE, lambda pod: [podstate.node_name(pod)])
        self._finished = 0
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        self._finished += (new is not None and podstate.is_finished(new)) - (
            old is not None and podstate.is_finished(old))
        if new is None:
            return
        name = podstate.node_name(new)
        if not name:
            if meta.is_deleted(new):
                self.queue.add("pods")
        elif self._nodes.get(name) is None:
            self.queue.add_after("pods", QUARANTINE_SECONDS)
        if self._finished > self._context.config.terminated_pod_gc_threshold > 0:
            self.queue.add("pods")

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self.queue.add_after("pods", QUARANTINE_SECONDS)
        elif _out_of_service(new):
            self.queue.add("pods")

    async def reconcile(self, key: str) -> float | None:
        pods = self._pods.list()
        nodes = {name: await self._node(name) for name in {podstate.node_name(pod) for pod in pods} - {""}}
        decided = plan(pods, nodes, self._context.config.terminated_pod_gc_threshold)
        for pod, message in decided.force:
            await self._end(pod, message)
        return None

    async def _node(self, name: str) -> Object | None:
        cached = self._nodes.get(name)
        if cached is not None:
            return cached
        try:
            return await self._context.client.get(NODES, name)
        except NotFound:
            return None

    async def _end(self, pod: Object, message: str) -> None:
        client, name, namespace = self._context.client, meta.name(pod), meta.namespace(pod)
        try:
            if message and not podstate.is_finished(pod):
                patch = failed_status(pod, message, self._context.now())
                await client.patch(PODS, name, patch, namespace, subresource="status")
            await client.delete(PODS, name, namespace, uid=meta.uid(pod), grace_period_seconds=0)
        except (NotFound, Conflict):
            return  # gone, or another pod by now
