"""What a Deployment reports: counts summed over its ReplicaSets, and whether the rollout moves.

``kubectl rollout status`` reads the counts, ``observedGeneration`` and the reason ``ProgressDeadlineExceeded``.
Upstream: ``pkg/controller/deployment/{progress,sync}.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sampan.api import clock, meta
from sampan.controllers.deployment import scaling

Object = dict[str, Any]

NO_DEADLINE = 2**31 - 1  # MaxInt32 in progressDeadlineSeconds means: never
PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def make_condition(type: str, status: str, reason: str, message: str, now: datetime) -> Object:
    stamp = clock.rfc3339(now)
    return {"type": type, "status": status, "lastUpdateTime": stamp, "lastTransitionTime": stamp, "reason": reason,
            "message": message}


def find(conditions: Sequence[Object], type: str) -> Object | None:
    return next((c for c in conditions if c["type"] == type), None)


def with_condition(conditions: Sequence[Object], new: Object) -> list[Object]:
    """Replaced when status or reason differ; the transition time stays while the status does."""
    current = find(conditions, new["type"])
    if current is not None and (current["status"], current.get("reason")) == (new["status"], new["reason"]):
        return list(conditions)
    if current is not None and current["status"] == new["status"]:
        new = new | {"lastTransitionTime": current.get("lastTransitionTime", new["lastTransitionTime"])}
    return [*without(conditions, new["type"]), new]


def without(conditions: Sequence[Object], type: str) -> list[Object]:
    return [c for c in conditions if c["type"] != type]


def has_deadline(deployment: Object) -> bool:
    return deployment["spec"].get("progressDeadlineSeconds", 600) not in (None, NO_DEADLINE)


def count(deployment: Object, sets: Sequence[Object], new: Object | None, now: datetime) -> Object:
    """The status but for what the rollout's progress says."""
    old_status = deployment.get("status") or {}
    ready = scaling.available(sets)
    result: Object = {"observedGeneration": meta.generation(deployment)}
    for field, source in (("replicas", "replicas"), ("readyReplicas", "readyReplicas")):
        result[field] = sum(scaling.counted(rs, source) for rs in sets)
    result["updatedReplicas"] = scaling.counted(new, "replicas") if new is not None else 0
    result["availableReplicas"] = ready
    result["unavailableReplicas"] = max(0, scaling.total(sets) - ready)
    reported = [(rs.get("status") or {}).get("terminatingReplicas") for rs in sets]
    if all(number is not None for number in reported):
        result["terminatingReplicas"] = sum(number or 0 for number in reported)
    if "collisionCount" in old_status:
        result["collisionCount"] = old_status["collisionCount"]
    result["conditions"] = with_condition(old_status.get("conditions") or [], _availability(deployment, ready, now))
    return result


def _availability(deployment: Object, ready: int, now: datetime) -> Object:
    if ready >= scaling.replicas(deployment) - scaling.max_unavailable(deployment):
        return make_condition(AVAILABLE, "True", "MinimumReplicasAvailable",
                              "Deployment has minimum availability.", now)
    return make_condition(AVAILABLE, "False", "MinimumReplicasUnavailable",
                          "Deployment does not have minimum availability.", now)


def with_progress(deployment: Object, status: Object, sets: Sequence[Object], new: Object | None,
                  now: datetime) -> Object:
    """The status with its Progressing and ReplicaFailure conditions."""
    conditions = list(status["conditions"])
    if not has_deadline(deployment):
        conditions = without(conditions, PROGRESSING)
    else:
        conditions = _progress(deployment, status, conditions, new, now)
    failure = next((c for c in (_failure(rs) for rs in ([new] if new else []) + list(sets)) if c), None)
    conditions = without(conditions, REPLICA_FAILURE) if failure is None else with_condition(conditions, failure)
    return status | {"conditions": conditions}


def _progress(deployment: Object, status: Object, conditions: list[Object], new: Object | None,
              now: datetime) -> list[Object]:
    current = find((deployment.get("status") or {}).get("conditions") or [], PROGRESSING)
    finished = current is not None and current.get("reason") == NEW_AVAILABLE
    if finished and status["replicas"] == status["updatedReplicas"]:
        return conditions
    subject = f'ReplicaSet "{meta.name(new)}"' if new else f'Deployment "{meta.name(deployment)}"'
    if is_complete(deployment, status):
        done = make_condition(PROGRESSING, "True", NEW_AVAILABLE, f"{subject} has successfully progressed.", now)
        return with_condition(conditions, done)
    if is_progressing(deployment, status):
        moving = make_condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
        if current is not None and current["status"] == "True":
            moving["lastTransitionTime"] = current.get("lastTransitionTime", moving["lastTransitionTime"])
        # Taken out first: the update time must move even where status and reason stay, or the deadline would strike.
        return [*without(conditions, PROGRESSING), moving]
    if has_timed_out(deployment, now):
        late = make_condition(PROGRESSING, "False", TIMED_OUT, f"{subject} has timed out progressing.", now)
        return with_condition(conditions, late)
    return conditions


def _failure(rs: Object) -> Object | None:
    found = meta.condition(rs, REPLICA_FAILURE)
    if found is None:
        return None
    stamp = found.get("lastTransitionTime", "")
    return {"type": REPLICA_FAILURE, "status": found["status"], "lastUpdateTime": stamp, "lastTransitionTime": stamp,
            "reason": found.get("reason", ""), "message": found.get("message", "")}


def is_complete(deployment: Object, status: Object) -> bool:
    wanted = scaling.replicas(deployment)
    return (all((status.get(field) or 0) == wanted for field in ("updatedReplicas", "replicas", "availableReplicas"))
            and (status.get("observedGeneration") or 0) >= meta.generation(deployment))


def is_progressing(deployment: Object, status: Object) -> bool:
    """Has any pod been added, taken away, become ready or available since the last report?"""
    before = deployment.get("status") or {}

    def grew(field: str) -> bool:
        return bool((status.get(field) or 0) > (before.get(field) or 0))

    old_before = (before.get("replicas") or 0) - (before.get("updatedReplicas") or 0)
    old_now = status["replicas"] - status["updatedReplicas"]
    return grew("updatedReplicas") or old_now < old_before or grew("readyReplicas") or grew("availableReplicas")


def has_timed_out(deployment: Object, now: datetime) -> bool:
    current = find((deployment.get("status") or {}).get("conditions") or [], PROGRESSING)
    if current is None or current.get("reason") == NEW_AVAILABLE:
        return False
    return current.get("reason") == TIMED_OUT or now > _deadline(deployment, current)


def _deadline(deployment: Object, current: Object) -> datetime:
    since = current.get("lastUpdateTime") or current.get("lastTransitionTime") or "1970-01-01T00:00:00Z"
    return clock.parse(since) + timedelta(seconds=deployment["spec"].get("progressDeadlineSeconds", 600))


def seconds_to_deadline(deployment: Object, status: Object, now: datetime) -> float | None:
    """When to look again although nothing happens: the deadline is news, too."""
    current = find(status.get("conditions") or [], PROGRESSING)
    if not has_deadline(deployment) or current is None or current.get("reason") == TIMED_OUT:
        return None
    if is_complete(deployment, status):
        return None
    return max(0.0, (_deadline(deployment, current) - now).total_seconds()) + 1
