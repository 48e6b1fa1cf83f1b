"""Endpoints, the old form of EndpointSlice. Upstream: ``ValidateEndpoints``, ``formatEndpoints``."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.rules import checked, one_of, port
from sampan.apiserver.kinds.table import age, few

PROTOCOLS = ("TCP", "UDP", "SCTP")


class EndpointsKind(Kind):
    create_on_update = True
    columns = (NAME, Column("Endpoints", description="The set of all endpoints is the union of all subsets."), AGE)

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for entry in subset.get("ports") or ():
                entry.setdefault("protocol", "TCP")

    def validate_object(self, obj: Object) -> list[FieldError]:
        return [error for i, subset in enumerate(obj.get("subsets") or ())
                for error in _subset(subset, f"subsets[{i}]")]

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), few(_addresses(obj)), age(obj, now)]


def _subset(subset: Object, path: str) -> list[FieldError]:
    errors = []
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        errors.append(FieldError.required(path, "must specify `addresses` or `notReadyAddresses`"))
    for key in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(key) or ()):
            errors += endpoint_ip(address.get("ip") or "", f"{path}.{key}[{i}].ip")
            errors += checked(address.get("hostname"), names.dns_label, f"{path}.{key}[{i}].hostname")
    ports = subset.get("ports") or []
    for i, entry in enumerate(ports):
        at = f"{path}.ports[{i}]"
        errors += checked(entry.get("name"), names.dns_label, f"{at}.name", required=len(ports) > 1)
        errors += port(entry.get("port"), f"{at}.port")
        errors += one_of(entry.get("protocol"), PROTOCOLS, f"{at}.protocol", required=True)
    return errors


def endpoint_ip(value: str, path: str) -> list[FieldError]:
    """An address that traffic may be sent to: not one that means "this host"."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return [FieldError.invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")]
    if address.is_unspecified:
        return [FieldError.invalid(path, value, f"may not be unspecified ({value})")]
    if address.is_loopback:
        return [FieldError.invalid(path, value, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if address.is_link_local:
        return [FieldError.invalid(path, value, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    if address.is_multicast:
        return [FieldError.invalid(
            path, value, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    return []


def _addresses(endpoints: Object) -> list[str]:
    shown = []
    for subset in endpoints.get("subsets") or ():
        for address in subset.get("addresses") or ():
            ports = subset.get("ports") or ()
            shown += [host_port(address["ip"], entry["port"]) for entry in ports] or [address["ip"]]
    return shown


def host_port(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
