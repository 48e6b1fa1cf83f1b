"""A Service and its EndpointSlices -> its names and their records. Pure.

Upstream: the Kubernetes DNS specification 1.1.0 (github.com/kubernetes/dns, docs/specification.md) and, where that
leaves a choice, what CoreDNS' ``kubernetes`` plugin does: an endpoint without a hostname is called after its address
(``10-244-0-7``), and SRV weights share 100.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sampan.dns.message import CNAME, PTR, SRV, TXT, A, reverse_name, wire_name

Object = dict[str, Any]

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
SCHEMA_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its name in full, its type, its data as on the wire; SRV names its target for the A beside it."""

    name: str
    type: int
    data: bytes
    target: str = ""


def service_of(endpoint_slice: Object) -> str:
    """The key of the Service that a slice belongs to, or ``""``."""
    meta = endpoint_slice["metadata"]
    name = (meta.get("labels") or {}).get(SERVICE_NAME_LABEL)
    return f"{meta['namespace']}/{name}" if name else ""


def version_record(domain: str) -> Record:
    text = SCHEMA_VERSION.encode()
    return Record(f"dns-version.{domain}", TXT, bytes([len(text)]) + text)


def records_for(service: Object | None, slices: Iterable[Object], domain: str) -> list[Record]:
    """All records of one Service; none when there is no such Service."""
    if service is None:
        return []
    meta, spec = service["metadata"], service["spec"]
    name = f"{meta['name']}.{meta['namespace']}.svc.{domain}"
    if spec.get("type") == "ExternalName":
        return _external(name, spec.get("externalName") or "")
    if spec.get("clusterIP") == "None":
        return _headless(name, slices, bool(spec.get("publishNotReadyAddresses")))
    if spec.get("clusterIP"):
        return _cluster_ip(name, spec)
    return []


def _external(name: str, target: str) -> list[Record]:
    try:
        return [Record(name, CNAME, wire_name(target))]
    except ValueError:  # validation lets a few odd names pass; they have no DNS form
        return []


def _cluster_ip(name: str, spec: Object) -> list[Record]:
    addresses = [a for a in spec.get("clusterIPs") or [spec["clusterIP"]] if ":" not in a]
    found = [Record(name, A, socket.inet_aton(address)) for address in addresses]
    found += [Record(reverse_name(address), PTR, wire_name(name)) for address in addresses]
    found += [
        _srv(name, port["name"], port.get("protocol") or "TCP", 100, port["port"], name)
        for port in spec.get("ports") or ()
        if port.get("name")
    ]
    return found


def _headless(name: str, slices: Iterable[Object], not_ready_too: bool) -> list[Record]:
    members: dict[tuple[str, str], None] = {}  # (host, address), once each and in order
    ports: dict[tuple[str, str, int, str], None] = {}  # (port name, protocol, number, host)
    for endpoint_slice in slices:
        if endpoint_slice.get("addressType", "IPv4") != "IPv4":
            continue
        for endpoint in endpoint_slice.get("endpoints") or ():
            if not not_ready_too and (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            address = endpoint["addresses"][0]
            host = f"{endpoint.get('hostname') or address.replace('.', '-')}.{name}"
            members[host, address] = None
            for port in endpoint_slice.get("ports") or ():
                if port.get("name") and port.get("port"):
                    ports[port["name"], port.get("protocol") or "TCP", port["port"], host] = None
    return [*_members(name, members), *_headless_ports(name, ports)]


def _members(name: str, members: Iterable[tuple[str, str]]) -> Iterable[Record]:
    for host, address in members:
        raw = socket.inet_aton(address)
        yield Record(name, A, raw)
        yield Record(host, A, raw)
        yield Record(reverse_name(address), PTR, wire_name(host))


def _headless_ports(name: str, ports: Iterable[tuple[str, str, int, str]]) -> Iterable[Record]:
    ports = list(ports)
    for port, protocol, number, host in ports:
        hosts = sum(1 for p in ports if p[:2] == (port, protocol))
        yield _srv(name, port, protocol, max(1, 100 // hosts), number, host)


def _srv(service: str, port: str, protocol: str, weight: int, number: int, target: str) -> Record:
    data = struct.pack(">HHH", 0, weight, number) + wire_name(target)
    return Record(f"_{port}._{protocol.lower()}.{service}", SRV, data, target)
