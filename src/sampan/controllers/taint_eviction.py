"""``NoExecute`` taints end the pods on a node that don't tolerate them, at once or after ``tolerationSeconds``.

Upstream: ``pkg/controller/tainteviction``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import Conflict, NotFound
from sampan.api.resources import NODES, PODS
from sampan.client.queue import WorkQueue
from sampan.controllers import podstate
from sampan.controllers.base import Context
from sampan.controllers.podgc import BY_NODE

Object = dict[str, Any]

MESSAGE = "Taint manager: deleting due to NoExecute taint"


@dataclass(frozen=True, slots=True)
class Plan:
    """None: the pod may stay for good. 0 or less: it goes now."""

    seconds: float | None = None


def plan(pod: Object, taints: Sequence[Object], now: datetime) -> Plan:
    """``taints`` are the node's NoExecute taints. The clock starts when the taint met the pod."""
    limits: list[float] = []
    for taint in taints:
        found = [t for t in pod["spec"].get("tolerations") or () if _tolerates(t, taint)]
        if not found:
            return Plan(0.0)
        bounded = [t["tolerationSeconds"] for t in found if t.get("tolerationSeconds") is not None]
        if bounded:
            limits.append((_since(pod, taint, now) + timedelta(seconds=max(min(bounded), 0)) - now).total_seconds())
    return Plan(min(limits)) if limits else Plan()


def _since(pod: Object, taint: Object, now: datetime) -> datetime:
    """By what is written down, so that a restart of ours does not grant the time once more."""
    stamps = (taint.get("timeAdded"), (pod.get("status") or {}).get("startTime"))
    return max((clock.parse(stamp) for stamp in stamps if stamp), default=now)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    if (toleration.get("operator") or "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def no_execute(node: Object | None) -> list[Object]:
    return [t for t in ((node or {}).get("spec") or {}).get("taints") or () if t["effect"] == "NoExecute"]


class TaintEvictionController:
    name = "taint-eviction-controller"
    workers = 8

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._nodes = context.informers.informer(NODES)
        self._pods = context.informers.informer(PODS)
        self._pods.add_index(BY_NODE, lambda pod: [podstate.node_name(pod)])
        self._scheduled: set[str] = set()
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and no_execute(old) != no_execute(new):
            for pod in self._pods.by_index(BY_NODE, meta.name(new)):
                self.queue.add(meta.key(pod))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._scheduled.discard(meta.key(old or {}))
        elif no_execute(self._nodes.get(podstate.node_name(new))) and (
                old is None or podstate.node_name(old) != podstate.node_name(new)
                or old["spec"].get("tolerations") != new["spec"].get("tolerations")):
            self.queue.add(meta.key(new))

    async def reconcile(self, key: str) -> float | None:
        pod = self._pods.get(key)
        if pod is None or meta.is_deleted(pod):
            self._scheduled.discard(key)
            return None
        taints = no_execute(self._nodes.get(podstate.node_name(pod)))
        seconds = plan(pod, taints, self._context.now()).seconds
        if seconds is None:
            if key in self._scheduled:
                self._scheduled.discard(key)
                self._event(pod, f"Cancelling deletion of Pod {key}")
            return None
        if seconds > 0:
            self._scheduled.add(key)
            return seconds
        self._event(pod, f"Marking for deletion Pod {key}")
        await self._evict(pod)
        return None

    async def _evict(self, pod: Object) -> None:
        client, name, namespace = self._context.client, meta.name(pod), meta.namespace(pod)
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
                     "message": MESSAGE, "lastTransitionTime": clock.rfc3339(self._context.now())}
        try:
            patch = {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": [condition]}}
            await client.patch(PODS, name, patch, namespace, subresource="status")
            await client.delete(PODS, name, namespace, uid=meta.uid(pod))
        except (NotFound, Conflict):
            return  # gone, or another pod by now

    def _event(self, pod: Object, message: str) -> None:
        self._context.events.event(pod, "Normal", "TaintManagerEviction", message)
