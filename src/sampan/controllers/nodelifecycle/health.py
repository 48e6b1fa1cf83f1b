"""Is a node alive?  It is while its lease or its heartbeat changes, measured by our clock, not by its own.

Upstream: ``tryUpdateNodeHealth`` in ``pkg/controller/nodelifecycle/node_lifecycle_controller.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sampan.api import clock, meta

Object = dict[str, Any]

WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen last, and when we saw it (monotonic seconds)."""

    sign: tuple[Any, ...]
    seen_at: float


def sign_of_life(node: Object, lease: Object | None) -> tuple[Any, ...]:
    """Changes whenever the node shows that it lives."""
    heartbeats = tuple(c.get("lastHeartbeatTime") for c in (node.get("status") or {}).get("conditions") or ())
    return heartbeats, ((lease or {}).get("spec") or {}).get("renewTime")


def sighted(previous: Sighting | None, node: Object, lease: Object | None, now: float) -> Sighting:
    sign = sign_of_life(node, lease)
    return previous if previous is not None and previous.sign == sign else Sighting(sign, now)


def grace_seconds(node: Object, monitor: float, startup: float) -> float:
    """A node that has never reported gets more time: it is still starting."""
    return monitor if meta.condition(node, "Ready") is not None else startup


def unknown_conditions(node: Object, now: datetime) -> list[Object] | None:
    """The conditions once the node is silent; None when they say so already."""
    conditions = [dict(c) for c in (node.get("status") or {}).get("conditions") or ()]
    by_type: Mapping[str, Object] = {c["type"]: c for c in conditions}
    changed = False
    for type in WATCHED:
        current = by_type.get(type)
        if current is None:
            stamp = meta.metadata(node).get("creationTimestamp") or clock.rfc3339(now)
            conditions.append({"type": type, "status": "Unknown", "reason": "NodeStatusNeverUpdated",
                               "message": "Kubelet never posted node status.", "lastHeartbeatTime": stamp,
                               "lastTransitionTime": clock.rfc3339(now)})
            changed = True
        elif current["status"] != "Unknown":
            current |= {"status": "Unknown", "reason": "NodeStatusUnknown",
                        "message": "Kubelet stopped posting node status.", "lastTransitionTime": clock.rfc3339(now)}
            changed = True
    return conditions if changed else None
