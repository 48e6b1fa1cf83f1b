"""How much a pod asks for, in whole numbers: CPU in millicores, memory in bytes.

Init containers run one after another, so the largest counts; a restartable one (sidecar) keeps running and adds to all
that follow.  A container that asks for nothing still counts a little when nodes are compared, or all such pods would
pile up on one node.  Upstream: ``component-helpers/resource``, ``pkg/scheduler/util/pod_resources.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sampan.api import quantity

Object = dict[str, Any]
Amounts = dict[str, int]

DEFAULT_CPU_MILLICORES = 100
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024


@lru_cache(maxsize=4096)
def _amount(name: str, text: str | int | float) -> int:
    parsed = quantity.parse(text)
    return quantity.milli(parsed) if name == "cpu" else quantity.value(parsed)


def amounts(listed: Object | None) -> Amounts:
    return {name: _amount(name, text) for name, text in (listed or {}).items()}


def _requests(container: Object) -> Amounts:
    return amounts((container.get("resources") or {}).get("requests"))


def _requests_at_least(container: Object) -> Amounts:
    return {"cpu": DEFAULT_CPU_MILLICORES, "memory": DEFAULT_MEMORY_BYTES} | _requests(container)


def _add(into: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        into[name] = into.get(name, 0) + amount


def _raise_to(into: Amounts, least: Amounts) -> None:
    for name, amount in least.items():
        if amount > into.get(name, 0):
            into[name] = amount


def pod_requests(spec: Object, *, at_least: bool = False) -> Amounts:
    """What the scheduler must find free. ``at_least``: with the small default where a container asks for nothing."""
    of = _requests_at_least if at_least else _requests
    total = _of_all(spec.get("containers") or (), spec.get("initContainers") or (), of)
    pod_level = amounts((spec.get("resources") or {}).get("requests"))
    total |= pod_level
    _add(total, amounts(spec.get("overhead")))
    return total


def _of_all(containers: Iterable[Object], inits: Iterable[Object], of: Any) -> Amounts:
    total: Amounts = {}
    for container in containers:
        _add(total, of(container))
    sidecars: Amounts = {}
    largest: Amounts = {}
    for init in inits:
        own = dict(of(init))
        if init.get("restartPolicy") == "Always":
            _add(total, own)
            _add(sidecars, own)
            own = dict(sidecars)
        else:
            _add(own, sidecars)
        _raise_to(largest, own)
    _raise_to(total, largest)
    return total
