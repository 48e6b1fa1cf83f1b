"""What may be said of a Service. Upstream: ``ValidateService``, ``ValidateServiceUpdate``."""

from __future__ import annotations

import ipaddress
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.endpoints import endpoint_ip
from sampan.apiserver.kinds.metadata import validate_labels
from sampan.apiserver.kinds.rules import checked, one_of, port, port_or_name
from sampan.apiserver.kinds.service.defaults import HEADLESS, is_external, is_headless, needs_cluster_ip

Object = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_MAX_AFFINITY_SECONDS = 86400


def validate_service(spec: Object) -> list[FieldError]:
    kind = spec.get("type")
    errors = one_of(kind, TYPES, "spec.type", required=True)
    if not spec.get("ports") and not is_headless(spec) and kind != "ExternalName":
        errors.append(FieldError.required("spec.ports"))
    errors += _by_type(spec, kind or "") + _affinity(spec)
    errors += validate_labels(spec.get("selector") or {}, "spec.selector")
    errors += _ports(spec)
    for i, address in enumerate(spec.get("externalIPs") or ()):
        errors += endpoint_ip(address, f"spec.externalIPs[{i}]")
    return errors + _policies(spec) + _cluster_ips(spec) + _families(spec)


def _by_type(spec: Object, kind: str) -> list[FieldError]:
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        return [FieldError.invalid("spec.clusterIPs[0]", HEADLESS, f"may not be set to 'None' for {kind} services")]
    if kind != "ExternalName":
        return []
    errors = [FieldError.forbidden(f"spec.{key}", "may not be set for ExternalName services")
              for key in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(key)]
    name = (spec.get("externalName") or "").removesuffix(".")
    return errors + checked(name, names.dns_subdomain, "spec.externalName", required=True)


def _affinity(spec: Object) -> list[FieldError]:
    kind, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    errors = one_of(kind, ("ClientIP", "None"), "spec.sessionAffinity", required=True)
    path = "spec.sessionAffinityConfig"
    if kind == "None" and config is not None:
        errors.append(FieldError.forbidden(path, "must not be set when session affinity is None"))
    if kind == "ClientIP":
        seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
        if seconds is None:
            errors.append(FieldError.required(path, "when session affinity type is ClientIP"))
        elif not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            errors.append(FieldError.invalid(f"{path}.clientIP.timeoutSeconds", seconds, "must be greater than 0 and "
                                             f"less than {_MAX_AFFINITY_SECONDS}"))
    return errors


def _ports(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    ports = spec.get("ports") or []
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int]] = set()
    seen_node_ports: set[tuple[str, int]] = set()
    for i, entry in enumerate(ports):
        at, protocol = f"spec.ports[{i}]", entry.get("protocol") or ""
        errors += _port(entry, len(ports) > 1, seen_names, at)
        identity = (protocol, entry.get("port") or 0)
        if identity in seen_ports:
            errors.append(FieldError.duplicate(at, {"protocol": protocol, "port": identity[1]}))
        seen_ports.add(identity)
        node_port = entry.get("nodePort") or 0
        if not node_port:
            continue
        if spec.get("type") in ("ClusterIP", "ExternalName"):
            errors.append(FieldError.forbidden(f"{at}.nodePort", f"may not be used when `type` is '{spec['type']}'"))
        if (protocol, node_port) in seen_node_ports:
            errors.append(FieldError.duplicate(f"{at}.nodePort", node_port))
        seen_node_ports.add((protocol, node_port))
    return errors


def _port(entry: Object, needs_name: bool, seen: set[str], path: str) -> list[FieldError]:
    name = entry.get("name") or ""
    errors = checked(name, names.dns_label, f"{path}.name", required=needs_name)
    if name and name in seen:
        errors.append(FieldError.duplicate(f"{path}.name", name))
    seen.add(name)
    errors += port(entry.get("port"), f"{path}.port")
    errors += one_of(entry.get("protocol"), _PROTOCOLS, f"{path}.protocol", required=True)
    errors += port_or_name(entry.get("targetPort"), f"{path}.targetPort")
    return errors + checked(entry.get("appProtocol"), names.qualified_name, f"{path}.appProtocol")


def _policies(spec: Object) -> list[FieldError]:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    errors = one_of(external, _POLICIES, "spec.externalTrafficPolicy", required=is_external(spec)
                    and spec.get("type") != "ClusterIP")
    if external and not is_external(spec):
        errors.append(FieldError.invalid(
            "spec.externalTrafficPolicy", external, "may only be set for externally-accessible services"))
    return errors + one_of(internal, _POLICIES, "spec.internalTrafficPolicy", required=needs_cluster_ip(spec))


def _cluster_ips(spec: Object) -> list[FieldError]:
    first, all_ips, path = spec.get("clusterIP") or "", spec.get("clusterIPs") or [], "spec.clusterIPs"
    if spec.get("type") == "ExternalName" or not (first or all_ips):
        return []
    if not first:
        return [FieldError.required("spec.clusterIP", "must be specified if clusterIPs is")]
    errors = []
    if all_ips and all_ips[0] != first:
        errors.append(FieldError.invalid(path, all_ips, "first value must match `clusterIP`"))
    if len(all_ips) > 2:
        errors.append(FieldError.invalid(path, all_ips, "may only hold up to 2 values"))
    for i, address in enumerate(all_ips):
        if address == HEADLESS:
            if len(all_ips) > 1:
                errors.append(FieldError.invalid(f"{path}[{i}]", address, "must be the only value if set to 'None'"))
        elif not _is_ip(address):
            errors.append(FieldError.invalid(
                f"{path}[{i}]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"))
    return errors


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _families(spec: Object) -> list[FieldError]:
    errors = one_of(spec.get("ipFamilyPolicy"), ("SingleStack", "PreferDualStack", "RequireDualStack"),
                    "spec.ipFamilyPolicy")
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        errors += one_of(family, ("IPv4", "IPv6"), f"spec.ipFamilies[{i}]")
    return errors


def validate_service_update(spec: Object, old: Object) -> list[FieldError]:
    """An address once given stays while the type needs one."""
    if not (needs_cluster_ip(spec) and needs_cluster_ip(old)) or not old.get("clusterIPs"):
        return []
    if (spec.get("clusterIPs") or [])[:1] == old["clusterIPs"][:1]:
        return []
    return [FieldError.invalid("spec.clusterIPs[0]", spec.get("clusterIPs") or [], "may not change once set")]
