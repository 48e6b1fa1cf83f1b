"""What a Service means by what it leaves out, and what an update keeps of what was allocated.

Upstream: ``SetDefaults_Service``, ``patchAllocatedValues``, ``dropTypeDependentFields``, ``NormalizeClusterIPs``.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
HEADLESS = "None"
AFFINITY_SECONDS = 10800


def default_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec["type"] = kind = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": client | {"timeoutSeconds": AFFINITY_SECONDS}}
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        port["targetPort"] = port.get("targetPort") or port.get("port")
    if is_external(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if needs_cluster_ip(spec) and not spec.get("internalTrafficPolicy"):
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is None:
        spec["allocateLoadBalancerNodePorts"] = True
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def needs_cluster_ip(spec: Object) -> bool:
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_ports(spec: Object) -> bool:
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False


def needs_health_check_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_external(spec: Object) -> bool:
    """Whether traffic comes from outside: node ports, a load balancer, or ``externalIPs``."""
    kind = spec.get("type")
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def is_headless(spec: Object) -> bool:
    return spec.get("clusterIP") == HEADLESS or HEADLESS in (spec.get("clusterIPs") or ())


def keep_allocated(spec: Object, old: Object) -> None:
    """A client that leaves out addresses and node ports on update keeps those it has."""
    _normalize_changed_ip(spec, old)
    if needs_cluster_ip(spec) and needs_cluster_ip(old):
        if not spec.get("clusterIP") and old.get("clusterIP"):
            spec["clusterIP"] = old["clusterIP"]
        if not spec.get("clusterIPs") and spec.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            spec["clusterIPs"] = list(old["clusterIPs"])
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(key) and old.get(key):
                spec[key] = old[key]
    if needs_node_ports(spec) and needs_node_ports(old):
        _keep_node_ports(spec, old)
    if needs_health_check_port(spec) and needs_health_check_port(old) and not spec.get("healthCheckNodePort") \
            and old.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old["healthCheckNodePort"]


def _normalize_changed_ip(spec: Object, old: Object) -> None:
    """Old clients know only ``clusterIP``: when they change it alone, ``clusterIPs`` follows."""
    unchanged = (spec.get("clusterIPs") or []) == (old.get("clusterIPs") or [])
    if unchanged and spec.get("clusterIP") and spec["clusterIP"] != old.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif unchanged and not spec.get("clusterIP"):
        spec.pop("clusterIPs", None)


def _keep_node_ports(spec: Object, old: Object) -> None:
    by_name = {p.get("name", ""): p["nodePort"] for p in old.get("ports") or () if p.get("nodePort")}
    claimed = {p.get("nodePort") for p in spec.get("ports") or ()}
    for port in spec.get("ports") or ():
        before = by_name.get(port.get("name", ""))
        if not port.get("nodePort") and before and before not in claimed:
            port["nodePort"] = before


def drop_type_dependent(spec: Object, old: Object) -> None:
    """A change of type takes away what the new type can't have, if the user did not touch it."""
    if needs_node_ports(old) and not needs_node_ports(spec) and _node_ports(spec) == _node_ports(old):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if needs_cluster_ip(old) and not needs_cluster_ip(spec) and spec.get("clusterIP") == old.get("clusterIP"):
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(key, None)
    if old.get("type") == "ExternalName" and spec.get("type") != "ExternalName" \
            and spec.get("externalName") == old.get("externalName"):
        spec.pop("externalName", None)
    if needs_health_check_port(old) and not needs_health_check_port(spec) \
            and spec.get("healthCheckNodePort") == old.get("healthCheckNodePort"):
        spec.pop("healthCheckNodePort", None)
    if is_external(old) and not is_external(spec):
        spec.pop("externalTrafficPolicy", None)
    if old.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        spec.pop("allocateLoadBalancerNodePorts", None)
        spec.pop("loadBalancerClass", None)


def _node_ports(spec: Object) -> list[int]:
    return [port.get("nodePort") or 0 for port in spec.get("ports") or ()]
