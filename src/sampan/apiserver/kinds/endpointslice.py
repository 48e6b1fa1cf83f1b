"""EndpointSlice. Upstream: ``pkg/registry/discovery/endpointslice``, ``pkg/apis/discovery/validation``."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.endpoints import endpoint_ip
from sampan.apiserver.kinds.rules import checked, immutable, one_of, port
from sampan.apiserver.kinds.table import UNSET, age, few

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_MAX_ENDPOINTS, _MAX_PORTS, _MAX_ADDRESSES = 1000, 20000, 100


class EndpointSliceKind(Kind):
    has_generation = True
    columns = (NAME, Column("AddressType", description="The type of address carried by this EndpointSlice."),
               Column("Ports", description="The list of network ports exposed by each endpoint in this slice."),
               Column("Endpoints", description="A list of unique endpoints in this slice."), AGE)

    def default(self, obj: Object) -> None:
        for entry in obj.get("ports") or ():
            if entry.get("name") is None:
                entry["name"] = ""
            if entry.get("protocol") is None:
                entry["protocol"] = "TCP"

    def bumps_generation(self, obj: Object, old: Object) -> bool:
        def content(each: Object) -> Object:
            return {key: value for key, value in each.items() if key not in ("metadata", "apiVersion", "kind")}

        return content(obj) != content(old) or obj["metadata"].get("labels") != old["metadata"].get("labels")

    def validate_object(self, obj: Object) -> list[FieldError]:
        kind, endpoints, ports = obj.get("addressType"), obj.get("endpoints") or [], obj.get("ports") or []
        errors = one_of(kind, _ADDRESS_TYPES, "addressType", required=True)
        if len(endpoints) > _MAX_ENDPOINTS:
            return [*errors, FieldError.too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)]
        for i, endpoint in enumerate(endpoints):
            errors += _endpoint(endpoint, kind or "", f"endpoints[{i}]")
        return errors + _ports(ports)

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate_object(obj) + immutable(obj.get("addressType"), old.get("addressType"), "addressType")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        addresses = [a for endpoint in obj.get("endpoints") or () for a in endpoint.get("addresses") or ()]
        return [obj["metadata"].get("name", ""), obj.get("addressType", ""), _ports_cell(obj.get("ports") or []),
                UNSET if not addresses else few(addresses), age(obj, now)]


def _endpoint(endpoint: Object, kind: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or []
    errors: list[FieldError] = []
    if not addresses:
        errors.append(FieldError.required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _MAX_ADDRESSES:
        errors.append(FieldError.too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES))
    for i, address in enumerate(addresses):
        errors += _address(address, kind, f"{path}.addresses[{i}]")
    errors += checked(endpoint.get("nodeName"), names.dns_subdomain, f"{path}.nodeName")
    return errors + checked(endpoint.get("hostname"), names.dns_label, f"{path}.hostname")


def _address(address: str, kind: str, path: str) -> list[FieldError]:
    if kind == "FQDN":
        return [FieldError.invalid(path, address, why) for why in names.dns_subdomain(address)]
    errors = endpoint_ip(address, path)
    version = 6 if kind == "IPv6" else 4
    if not errors and kind in _ADDRESS_TYPES and ipaddress.ip_address(address).version != version:
        errors.append(FieldError.invalid(path, address, f"must be a valid {kind} address"))
    return errors


def _ports(ports: list[Object]) -> list[FieldError]:
    if len(ports) > _MAX_PORTS:
        return [FieldError.too_many("ports", len(ports), _MAX_PORTS)]
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, entry in enumerate(ports):
        name, at = entry.get("name") or "", f"ports[{i}]"
        errors += checked(name, names.dns_label, f"{at}.name")
        if name in seen:
            errors.append(FieldError.duplicate(f"{at}.name", name))
        seen.add(name)
        errors += one_of(entry.get("protocol"), _PROTOCOLS, f"{at}.protocol", required=True)
        if entry.get("port") is not None:
            errors += port(entry["port"], f"{at}.port")
    return errors


def _ports_cell(ports: list[Object]) -> str:
    if not ports:
        return UNSET
    return few([str(entry["port"]) if entry.get("port") else "*" for entry in ports])
