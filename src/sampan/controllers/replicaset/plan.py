"""The decision of one look at a ReplicaSet: so many pods to create, or these to delete.

Upstream: ``manageReplicas`` in ``pkg/controller/replicaset/replica_set.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sampan.api import meta
from sampan.controllers import podstate
from sampan.controllers.replicaset import ranking

Object = dict[str, Any]

BURST = 500  # more than this many creations or deletions at once would flood the API server


@dataclass(frozen=True, slots=True)
class Plan:
    create: int = 0
    delete: tuple[Object, ...] = ()


def plan(rs: Object, pods: Sequence[Object], related: Sequence[Object], now: datetime) -> Plan:
    """``pods`` are the active pods it controls; ``related`` those of its siblings too."""
    wanted = rs["spec"].get("replicas")
    missing = (1 if wanted is None else wanted) - len(pods)
    if meta.is_deleted(rs) or missing == 0:
        return Plan()
    if missing > 0:
        return Plan(create=min(missing, BURST))
    return Plan(delete=tuple(ranking.choose(pods, min(-missing, BURST), related, now)))


def new_pod(rs: Object) -> Object:
    """A pod from the template, controlled by the ReplicaSet; the API server completes its name."""
    template = rs["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {field: metadata[field] for field in ("labels", "annotations", "finalizers") if metadata.get(field)}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"generateName": f"{meta.name(rs)}-", "namespace": meta.namespace(rs), **kept,
                     "ownerReferences": [meta.owner_reference(rs)]},
        "spec": template["spec"],
    }


def seconds_to_next_available(rs: Object, pods: Sequence[Object], now: datetime) -> float | None:
    """When the next ready pod becomes available by ``minReadySeconds``: nothing else would wake us then."""
    ready_seconds = rs["spec"].get("minReadySeconds") or 0
    waits = (podstate.seconds_to_available(pod, ready_seconds, now) for pod in pods)
    return min((wait for wait in waits if wait), default=None)
