"""From watch events to the cluster's state, and to the pods that an event could help.

Upstream: ``pkg/scheduler/eventhandlers.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.scheduler.cluster_state import ClusterState
from sampan.scheduler.framework import Event
from sampan.scheduler.queue import SchedulingQueue

Object = dict[str, Any]


class Watching:
    """Handlers for the informers of pods, nodes and namespaces."""

    def __init__(self, cluster: ClusterState, queue: SchedulingQueue, scheduler_name: str) -> None:
        self._cluster, self._queue, self._scheduler_name = cluster, queue, scheduler_name

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or meta.uid(old) != meta.uid(new)):
            self._pod_gone(old)
            old = None
        if new is None:
            return
        if (new.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            self._pod_gone(new)  # what it took is free again
        elif new["spec"].get("nodeName"):
            self._pod_placed(old, new)
        elif self._is_ours(new):
            self._queue.add(new)
        else:
            self._queue.remove(meta.uid(new))

    def _is_ours(self, pod: Object) -> bool:
        wanted = pod["spec"].get("schedulerName") or "default-scheduler"
        return wanted == self._scheduler_name and not meta.is_deleted(pod)

    def _pod_gone(self, pod: Object) -> None:
        self._queue.remove(meta.uid(pod))
        if self._cluster.remove_pod(meta.uid(pod)):
            self._queue.happened(Event.POD_REMOVED)

    def _pod_placed(self, old: Object | None, new: Object) -> None:
        self._queue.remove(meta.uid(new))
        self._cluster.set_pod(new)
        if old is None or not old["spec"].get("nodeName"):
            self._queue.happened(Event.POD_ADDED)
        elif meta.labels(old) != meta.labels(new) or meta.is_deleted(old) != meta.is_deleted(new):
            self._queue.happened(Event.POD_LABELS)

    def node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._cluster.remove_node(meta.name(old or {}))
            return
        self._cluster.set_node(new)
        for event in node_events(old, new):
            self._queue.happened(event)

    def namespace_changed(self, old: Object | None, new: Object | None) -> None:
        self._cluster.set_namespace(meta.name(new or old or {}), None if new is None else meta.labels(new))
        if old is None or new is None or meta.labels(old) != meta.labels(new):
            self._queue.happened(Event.NAMESPACE_LABELS)


def node_events(old: Object | None, new: Object) -> list[Event]:
    """What of a node's change could matter to a waiting pod; a heartbeat is nothing."""
    if old is None:
        return [Event.NODE_ADDED]
    events = []
    if (old.get("status") or {}).get("allocatable") != (new.get("status") or {}).get("allocatable"):
        events.append(Event.NODE_ALLOCATABLE)
    if meta.labels(old) != meta.labels(new):
        events.append(Event.NODE_LABELS)
    if _closed(old) != _closed(new):
        events.append(Event.NODE_TAINTS)
    return events


def _closed(node: Object) -> tuple[Any, Any]:
    return node["spec"].get("taints") or [], bool(node["spec"].get("unschedulable"))
