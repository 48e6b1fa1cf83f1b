"""A node as the scheduler sees it: what it offers, what is taken, and which pods take it.

Upstream: ``NodeInfo`` in ``pkg/scheduler/framework/types.go``.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sampan.scheduler import resources
from sampan.scheduler.pod_info import HostPort, PodInfo

Object = dict[str, Any]


class NodeInfo:
    """``node`` is None while pods name a node that is not there (yet, or any more)."""

    __slots__ = ("allocatable", "cpu_millicores", "hard_taints", "host_ports", "image_sizes", "labels", "least_cpu",
                 "least_memory", "memory_bytes", "name", "node", "pods", "pods_limit", "requested", "soft_taints",
                 "taken_cpu", "taken_memory", "unschedulable", "with_affinity", "with_anti_terms")

    def __init__(self, name: str) -> None:
        self.name = name
        self.pods: dict[str, PodInfo] = {}
        self.with_affinity: dict[str, PodInfo] = {}
        self.with_anti_terms: dict[str, PodInfo] = {}
        self.requested: Counter[str] = Counter()
        self.taken_cpu = self.taken_memory = self.least_cpu = self.least_memory = 0
        self.host_ports: Counter[HostPort] = Counter()
        self.set_node(None)

    def set_node(self, node: Object | None) -> None:
        self.node = node
        spec, status = ((node or {}).get(part) or {} for part in ("spec", "status"))
        self.labels: dict[str, str] = ((node or {}).get("metadata") or {}).get("labels") or {}
        taints = spec.get("taints") or []
        self.hard_taints = [t for t in taints if t["effect"] in ("NoSchedule", "NoExecute")]
        self.soft_taints = [t for t in taints if t["effect"] == "PreferNoSchedule"]
        self.unschedulable = bool(spec.get("unschedulable"))
        self.allocatable = resources.amounts(status.get("allocatable"))
        self.cpu_millicores = self.allocatable.get("cpu", 0)
        self.memory_bytes = self.allocatable.get("memory", 0)
        self.pods_limit = self.allocatable.get("pods", 0)
        self.image_sizes = {name: image.get("sizeBytes") or 0
                            for image in status.get("images") or () for name in image.get("names") or ()}

    def add(self, pod: PodInfo) -> None:
        self.pods[pod.uid] = pod
        self._count(pod, 1)
        if pod.has_affinity:
            self.with_affinity[pod.uid] = pod
        if pod.anti_terms:
            self.with_anti_terms[pod.uid] = pod

    def remove(self, pod: PodInfo) -> None:
        known = self.pods.pop(pod.uid, None)
        if known is not None:
            self._count(known, -1)
            self.with_affinity.pop(pod.uid, None)
            self.with_anti_terms.pop(pod.uid, None)

    def _count(self, pod: PodInfo, sign: int) -> None:
        for name, amount in pod.requests.items():
            self.requested[name] += sign * amount
        self.taken_cpu += sign * pod.cpu_millicores
        self.taken_memory += sign * pod.memory_bytes
        self.least_cpu += sign * pod.least_cpu
        self.least_memory += sign * pod.least_memory
        for port in pod.host_ports:
            self.host_ports[port] += sign
            if not self.host_ports[port]:
                del self.host_ports[port]
