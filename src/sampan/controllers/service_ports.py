"""Which port of a pod a Service's port leads to: a number, or the name of one of the pod's container ports.

The same name may stand for different numbers in different pods (a rolling update that moves a port), so ports are
resolved per pod.  Upstream: ``pkg/api/v1/pod.FindPort``, ``staging/src/k8s.io/endpointslice/utils.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.controllers import podstate

Object = dict[str, Any]


def find_port(pod: Object, service_port: Object) -> int | None:
    """None: this pod has no port of that name and protocol."""
    target = service_port.get("targetPort") or service_port["port"]
    if isinstance(target, int):
        return target
    if target.isdigit():
        return int(target)
    sidecars = [c for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(pod["spec"].get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and _protocol(port) == _protocol(service_port):
                return int(port["containerPort"])
    return None


def _protocol(port: Object) -> str:
    return port.get("protocol") or "TCP"


def pod_ips(pod: Object, family: str) -> list[str]:
    """The pod's addresses of ``IPv4`` or ``IPv6``."""
    status = pod.get("status") or {}
    listed = [entry["ip"] for entry in status.get("podIPs") or ()] or ([status["podIP"]] if status.get("podIP") else [])
    return [ip for ip in listed if (":" in ip) == (family == "IPv6")]


def hostname(pod: Object, service: Object) -> str:
    """What the pod calls itself below a headless Service, if it names that one as its subdomain."""
    own = pod["spec"].get("hostname") or ""
    return own if own and pod["spec"].get("subdomain") == meta.name(service) else ""


def belongs(pod: Object, *, terminating: bool) -> bool:
    """Can the pod be an endpoint at all?  It has an address, and its containers may still run."""
    if podstate.is_finished(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return terminating or not meta.is_deleted(pod)


def selected(service: Object) -> dict[str, str] | None:
    """The Service's selector; None where somebody else keeps its endpoints."""
    if service["spec"].get("type") == "ExternalName":
        return None
    return service["spec"].get("selector") or None


def endpoints_state(pod: Object) -> tuple[Any, ...]:
    """What of a pod can be seen through a Service; as long as this stays, nothing needs to be done."""
    status, spec = pod.get("status") or {}, pod["spec"]
    return (status.get("podIPs") or status.get("podIP"), podstate.is_ready(pod), podstate.is_finished(pod),
            meta.is_deleted(pod), spec.get("nodeName"), meta.labels(pod), spec.get("hostname"))
