"""The quality of service class of a pod: who is short of memory last.  Upstream: ``pkg/apis/core/v1/helper/qos``."""

from __future__ import annotations

from typing import Any

from sampan.api import quantity
from sampan.kubelet.containers import Pod

_COUNTED = ("cpu", "memory")


def qos_class(pod: Pod) -> str:
    """Guaranteed (every limit set and equal to its request), BestEffort (nothing set) or Burstable."""
    spec = pod["spec"]
    counted = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    resources = [c.get("resources") or {} for c in counted]
    if spec.get("resources"):
        resources = [spec["resources"]]  # pod-level resources (KEP-2837) decide alone
    if not any(_set(r, kind) for r in resources for kind in ("requests", "limits")):
        return "BestEffort"
    return "Guaranteed" if all(_guaranteed(r) for r in resources) else "Burstable"


def _set(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    listed = resources.get(kind) or {}
    return {name: listed[name] for name in _COUNTED if name in listed and quantity.parse(listed[name]) > 0}


def _guaranteed(resources: dict[str, Any]) -> bool:
    limits, requests = _set(resources, "limits"), _set(resources, "requests")
    return len(limits) == len(_COUNTED) and all(
        quantity.parse(requests.get(name, limits[name])) == quantity.parse(limits[name]) for name in _COUNTED
    )
