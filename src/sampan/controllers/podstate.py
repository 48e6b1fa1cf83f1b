"""What the state of a pod means to those that count pods: active, ready, available.

Upstream: ``pkg/api/v1/pod``, ``pkg/controller/controller_utils.go``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sampan.api import clock, meta

Object = dict[str, Any]


def phase(pod: Object) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def node_name(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not meta.is_deleted(pod)


def is_ready(pod: Object) -> bool:
    return meta.is_true(pod, "Ready")


def ready_since(pod: Object) -> datetime | None:
    """None where it is not ready, or the time is not known."""
    found = meta.condition(pod, "Ready")
    if found is None or found.get("status") != "True" or not found.get("lastTransitionTime"):
        return None
    return clock.parse(found["lastTransitionTime"])


def seconds_to_available(pod: Object, min_ready_seconds: int, now: datetime) -> float | None:
    """0: available now; more: it will be, if it stays ready; None: it isn't even ready."""
    if not is_ready(pod):
        return None
    if min_ready_seconds == 0:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def restarts(pod: Object) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(s.get("restartCount") or 0) for s in statuses), default=0)
