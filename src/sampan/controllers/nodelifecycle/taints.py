"""Taints that follow from a node's conditions and from ``kubectl cordon``.

Upstream: ``doNoScheduleTaintingPass`` and ``doNoExecuteTaintingPass`` in ``node_lifecycle_controller.go``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api import clock, meta

Object = dict[str, Any]

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_READY = {"False": NOT_READY, "Unknown": UNREACHABLE}
_TRUE_IS_BAD = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure", "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
OURS = {(key, "NoSchedule") for key in (NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_TRUE_IS_BAD.values())} | {
    (NOT_READY, "NoExecute"), (UNREACHABLE, "NoExecute")}


def wanted(node: Object) -> list[tuple[str, str]]:
    """``(key, effect)`` of the taints that the node's state calls for."""
    result = []
    ready = meta.condition(node, "Ready")
    key = _READY.get(ready["status"]) if ready is not None else None
    if key is not None:
        result += [(key, "NoSchedule"), (key, "NoExecute")]
    result += [(key, "NoSchedule") for type, key in _TRUE_IS_BAD.items() if meta.is_true(node, type)]
    if (node.get("spec") or {}).get("unschedulable"):
        result.append((UNSCHEDULABLE, "NoSchedule"))
    return result


def desired_taints(node: Object, now: datetime) -> list[Object] | None:
    """All taints as they should be; None when they are. Taints of others stay untouched."""
    current: list[Object] = (node.get("spec") or {}).get("taints") or []
    need = wanted(node)
    if meta.condition(node, "Ready") is None:
        need += [(t["key"], t["effect"]) for t in current if t["key"] == NOT_READY]  # not judged before its first word
    kept = [t for t in current if (t["key"], t["effect"]) not in OURS or (t["key"], t["effect"]) in need]
    have = {(t["key"], t["effect"]) for t in kept}
    fresh = [_taint(key, effect, now) for key, effect in dict.fromkeys(need) if (key, effect) not in have]
    return None if not fresh and len(kept) == len(current) else kept + fresh


def _taint(key: str, effect: str, now: datetime) -> Object:
    return {"key": key, "effect": effect, "timeAdded": clock.rfc3339(now)}
