"""One pod as an endpoint of a Service, and its ports as a slice lists them."""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.controllers import podstate, service_ports

Object = dict[str, Any]
Ports = tuple[tuple[tuple[str, Any], ...], ...]

ZONE = "topology.kubernetes.io/zone"


def endpoint_of(pod: Object, service: Object, zone: str, family: str) -> Object:
    """``serving`` says that it can answer; ``ready``, that it should get traffic; in between it is on its way out."""
    serving, terminating = podstate.is_ready(pod), meta.is_deleted(pod)
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint: Object = {
        "addresses": service_ports.pod_ips(pod, family),
        "conditions": {"ready": anyway or (serving and not terminating), "serving": serving,
                       "terminating": terminating},
        "targetRef": {"kind": "Pod", "namespace": meta.namespace(pod), "name": meta.name(pod), "uid": meta.uid(pod)},
    }
    if podstate.node_name(pod):
        endpoint["nodeName"] = podstate.node_name(pod)
    if zone:
        endpoint["zone"] = zone
    own = service_ports.hostname(pod, service)
    if own:
        endpoint["hostname"] = own
    return endpoint


def ports_of(pod: Object, service: Object) -> Ports:
    """Hashable, so that pods with the same ports share slices. Ports that the pod doesn't have are left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        number = service_ports.find_port(pod, port)
        if number is None:
            continue
        entry = {"name": port.get("name") or "", "protocol": port.get("protocol") or "TCP", "port": number}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(tuple(entry.items()))
    return tuple(found)


def ports_key(slice_ports: list[Object] | None) -> frozenset[tuple[Any, ...]]:
    """Equal for the same ports in any order, absent fields as their defaults."""
    return frozenset((p.get("name") or "", p.get("protocol") or "TCP", p.get("port"), p.get("appProtocol"))
                     for p in slice_ports or ())


def same(left: Object, right: Object) -> bool:
    """Equal but for absent and empty fields."""
    return _clean(left) == _clean(right)


def _clean(endpoint: Object) -> Object:
    return {k: v for k, v in endpoint.items() if v not in (None, "", {}, [])}
