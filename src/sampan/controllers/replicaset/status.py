"""What a ReplicaSet reports about its pods.  Upstream: ``pkg/controller/replicaset/replica_set_utils.go``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sampan.api import clock, meta
from sampan.controllers import podstate

Object = dict[str, Any]


def count(rs: Object, pods: Sequence[Object], terminating: int, failure: tuple[str, str] | None,
          now: datetime) -> Object:
    """The new status. ``failure`` is the reason and message of what went wrong in this look."""
    template_labels = ((rs["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    ready_seconds = rs["spec"].get("minReadySeconds") or 0
    return {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(template_labels.items() <= meta.labels(pod).items() for pod in pods),
        "readyReplicas": sum(map(podstate.is_ready, pods)),
        "availableReplicas": sum(podstate.seconds_to_available(pod, ready_seconds, now) == 0 for pod in pods),
        "terminatingReplicas": terminating,
        "observedGeneration": meta.generation(rs),
        "conditions": _conditions((rs.get("status") or {}).get("conditions") or [], failure, now),
    }


def _conditions(before: Sequence[Object], failure: tuple[str, str] | None, now: datetime) -> list[Object]:
    if failure is None:
        return [c for c in before if c["type"] != "ReplicaFailure"]
    if any(c["type"] == "ReplicaFailure" for c in before):
        return list(before)
    reason, message = failure
    return [*before, {"type": "ReplicaFailure", "status": "True", "reason": reason, "message": message,
                      "lastTransitionTime": clock.rfc3339(now)}]


def same(after: Object, before: Object) -> bool:
    """Equal where absent and zero mean the same."""
    return {k: v for k, v in after.items() if v} == {k: v for k, v in before.items() if v}
