"""How ``kubectl get services`` shows a Service. Upstream: ``printService``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.apiserver.kinds.base import AGE, NAME, Column
from sampan.apiserver.kinds.table import NONE, UNKNOWN, age, label_list

Object = dict[str, Any]
COLUMNS = (
    NAME, Column("Type", description="Type determines how the Service is exposed."),
    Column("Cluster-IP", description="The IP address of the service inside the cluster."),
    Column("External-IP", description="IP addresses for which nodes in the cluster will also accept traffic."),
    Column("Port(s)", description="The list of ports that are exposed by this service."), AGE,
    Column("Selector", priority=1, description="Route service traffic to pods with matching label keys and values."),
)


def row(service: Object, now: datetime) -> list[Any]:
    spec = service.get("spec") or {}
    return [service["metadata"].get("name", ""), spec.get("type", ""), (spec.get("clusterIPs") or [NONE])[0],
            _external(spec, service.get("status") or {}), _ports(spec.get("ports") or []), age(service, now),
            label_list(spec.get("selector"))]


def _external(spec: Object, status: Object) -> str:
    kind, fixed = spec.get("type"), spec.get("externalIPs") or []
    if kind == "ExternalName":
        return str(spec.get("externalName") or "")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(fixed) or NONE
    if kind == "LoadBalancer":
        ingress = (status.get("loadBalancer") or {}).get("ingress") or []
        return ",".join([*(i.get("ip") or i.get("hostname") or "" for i in ingress), *fixed]) or "<pending>"
    return UNKNOWN


def _ports(ports: list[Object]) -> str:
    def one(port: Object) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port')}{node}/{port.get('protocol')}"

    return ",".join(one(port) for port in ports) or NONE
