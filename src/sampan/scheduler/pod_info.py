"""A pod as the scheduler sees it: everything parsed once, when the watch shows it.

Upstream: ``PodInfo`` in ``pkg/scheduler/framework/types.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.scheduler import resources
from sampan.scheduler.terms import PodTerm

Object = dict[str, Any]
#: (host IP, protocol, port)
HostPort = tuple[str, str, int]


class PodInfo:
    """Read-only after it is made, but for ``node_name`` of a pod that is being placed."""

    __slots__ = ("anti_terms", "cpu_millicores", "host_ports", "key", "labels", "least_cpu", "least_memory",
                 "memory_bytes", "namespace", "node_name", "pod", "preferred_anti_terms", "preferred_terms",
                 "requests", "spec", "terminating", "terms", "tolerations", "uid")

    def __init__(self, pod: Object, node_name: str = "") -> None:
        spec = pod["spec"]
        self.pod, self.spec = pod, spec
        self.key, self.uid, self.namespace = meta.key(pod), meta.uid(pod), meta.namespace(pod)
        self.labels = meta.labels(pod)
        self.node_name = node_name or spec.get("nodeName") or ""
        self.terminating = meta.is_deleted(pod)
        self.tolerations: list[Object] = spec.get("tolerations") or []
        self.requests = {k: v for k, v in resources.pod_requests(spec).items() if v}
        self.cpu_millicores = self.requests.get("cpu", 0)
        self.memory_bytes = self.requests.get("memory", 0)
        least = resources.pod_requests(spec, at_least=True)
        self.least_cpu, self.least_memory = least["cpu"], least["memory"]
        self.host_ports = _host_ports(spec)
        affinity = spec.get("affinity") or {}
        near, away = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
        self.terms, self.preferred_terms = _terms(near, pod)
        self.anti_terms, self.preferred_anti_terms = _terms(away, pod)

    @property
    def has_affinity(self) -> bool:
        return bool(self.terms or self.preferred_terms or self.anti_terms or self.preferred_anti_terms)


def _terms(affinity: Object, pod: Object) -> tuple[tuple[PodTerm, ...], tuple[PodTerm, ...]]:
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return (tuple(PodTerm.of(term, pod) for term in required),
            tuple(PodTerm.of(p["podAffinityTerm"], pod, p["weight"]) for p in preferred))


def _host_ports(spec: Object) -> tuple[HostPort, ...]:
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return tuple((port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
                 for container in (*sidecars, *(spec.get("containers") or ()))
                 for port in container.get("ports") or () if port.get("hostPort"))
