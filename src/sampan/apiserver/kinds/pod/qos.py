"""A Pod's quality of service class, decided once, at creation. Upstream: ``pkg/apis/core/helper/qos``."""

from __future__ import annotations

from typing import Any

from sampan.api import quantity

_COMPUTE = ("cpu", "memory")


def qos_class(pod: dict[str, Any]) -> str:
    """Guaranteed: all containers have equal, non-zero cpu and memory requests and limits. BestEffort: none at all."""
    spec = pod["spec"]
    owners = [spec] if spec.get("resources") else (spec.get("containers") or []) + (spec.get("initContainers") or [])
    settings = [_settings(owner.get("resources") or {}) for owner in owners]
    if not any(requests or limits for requests, limits in settings):
        return "BestEffort"
    if all(set(limits) == set(_COMPUTE) and requests == limits for requests, limits in settings):
        return "Guaranteed"
    return "Burstable"


def _settings(resources: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    def amounts(key: str) -> dict[str, Any]:
        given = {name: quantity.parse(value) for name, value in (resources.get(key) or {}).items() if name in _COMPUTE}
        return {name: value for name, value in given.items() if value > 0}

    return amounts("requests"), amounts("limits")
