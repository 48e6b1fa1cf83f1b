"""Requests and limits in the kernel's units: cpu shares and quota, memory bytes, and the OOM score.

1000 millicores are 1024 shares; a limit of 500m is a quota of 50 ms in each 100 ms.  Upstream:
``pkg/kubelet/cm/helpers_linux.go`` and ``pkg/kubelet/qos/policy.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sampan.api import quantity
from sampan.kubelet.containers import Container, Pod, containers_of
from sampan.kubelet.qos import qos_class
from sampan.runtime.base import Resources

MIN_SHARES, MAX_SHARES = 2, 262144
MIN_QUOTA_MICROSECONDS = 1000
PERIOD_MICROSECONDS = 100_000


def container_resources(pod: Pod, container: Container, node_memory_bytes: int, pids_limit: int = 0) -> Resources:
    """The cgroup of one container. A limit without a request counts as the request."""
    listed = container.spec.get("resources") or {}
    limits, requests = listed.get("limits") or {}, {**(listed.get("limits") or {}), **(listed.get("requests") or {})}
    quota = _quota(_milli(limits, "cpu"))
    return Resources(
        cpu_shares=_shares(_milli(requests, "cpu")),
        cpu_quota_microseconds=quota,
        cpu_period_microseconds=PERIOD_MICROSECONDS if quota else 0,
        memory_limit_bytes=_bytes(limits, "memory"),
        oom_score_adj=oom_score_adj(pod, _bytes(requests, "memory"), node_memory_bytes),
        pids_limit=pids_limit,
    )


def pod_resources(pod: Pod) -> Resources:
    """The cgroup that holds the whole pod: limits only where every container has one."""
    shared = pod["spec"].get("resources") or {}
    cpu_limit = _milli(shared.get("limits") or {}, "cpu") or _total(pod, "limits", "cpu", strict=True)
    memory = _bytes(shared.get("limits") or {}, "memory") or _total(pod, "limits", "memory", strict=True)
    cpu = _milli(shared.get("requests") or {}, "cpu") or _total(pod, "requests", "cpu", strict=False)
    quota = _quota(cpu_limit)
    return Resources(
        cpu_shares=_shares(cpu),
        cpu_quota_microseconds=quota,
        cpu_period_microseconds=PERIOD_MICROSECONDS if quota else 0,
        memory_limit_bytes=memory,
    )


def _total(pod: Pod, kind: str, resource: str, *, strict: bool) -> int:
    """App containers and sidecars run together; each init container runs beside the sidecars before it."""
    together, peak = 0, 0
    for container in containers_of(pod):
        if container.kind == "ephemeral":
            continue
        amount = _asked(container, kind, resource)
        if strict and not amount:
            return 0
        if container.kind == "init":
            peak = max(peak, together + amount)
        else:
            together += amount
    return max(peak, together)


def _asked(container: Container, kind: str, resource: str) -> int:
    listed = container.spec.get("resources") or {}
    amounts = listed.get("limits") or {}
    if kind == "requests":
        amounts = {**amounts, **(listed.get("requests") or {})}
    return _milli(amounts, resource) if resource == "cpu" else _bytes(amounts, resource)


def oom_score_adj(pod: Pod, memory_request_bytes: int, node_memory_bytes: int) -> int:
    """-997 for Guaranteed, 1000 for BestEffort, in between by the share of the node's memory asked for."""
    quality = qos_class(pod)
    if quality == "Guaranteed" or pod["spec"].get("priorityClassName") == "system-node-critical":
        return -997
    if quality == "BestEffort":
        return 1000
    score = 1000 - (1000 * memory_request_bytes) // max(node_memory_bytes, 1)
    return max(3, min(score, 999))


def _shares(millicores: int) -> int:
    return min(max(MIN_SHARES, millicores * 1024 // 1000), MAX_SHARES)


def _quota(millicores: int) -> int:
    return max(MIN_QUOTA_MICROSECONDS, millicores * PERIOD_MICROSECONDS // 1000) if millicores else 0


def _milli(amounts: Mapping[str, Any], name: str) -> int:
    return quantity.milli(amounts[name]) if name in amounts else 0


def _bytes(amounts: Mapping[str, Any], name: str) -> int:
    return quantity.value(amounts[name]) if name in amounts else 0


def total_requests(pods: Iterable[Pod]) -> tuple[int, int]:
    """``(cpu millicores, memory bytes)`` asked for by these pods together."""
    listed = list(pods)
    return (
        sum(_total(p, "requests", "cpu", strict=False) for p in listed),
        sum(_total(p, "requests", "memory", strict=False) for p in listed),
    )
