"""Connections that must forget where they went.

The kernel asks the rules only for the first packet of a connection and remembers the answer (conntrack).  UDP has no
connections, so a client that keeps sending from one port keeps its entry alive, and would be sent to an endpoint long
gone.  After a change these entries are taken out; the next packet then meets the rules again.  TCP notices by itself.

Upstream: pkg/proxy/conntrack (cleanup.go). Kernel: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sampan.network.netlink import NLA_F_NESTED, Message, Netlink, attr, attributes
from sampan.proxy.base import ProxyConfig
from sampan.proxy.table import ServicePort

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_NFGENMSG = struct.pack("=BBH", socket.AF_INET, 0, 0)
_ORIGINAL, _REPLY = 1, 2
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_V4_SRC, _V4_DST = 1, 2
_PROTO_NUM, _SRC_PORT, _DST_PORT = 1, 2, 3

Place = tuple[str, int]  # address, port


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry: where the client sent to, and who answers it. ``original`` is the kernel's name for it."""

    protocol: int
    sent_to: Place
    answered_by: Place
    original: bytes


def frontends(ports: Iterable[ServicePort], config: ProxyConfig) -> dict[Place, set[Place]]:
    """Address and port of every UDP way into these Services -> the endpoints that may answer."""
    found: dict[Place, set[Place]] = {}
    for port in ports:
        if port.protocol != "udp":
            continue
        places = {(e.address, e.port) for e in port.endpoints + port.local_endpoints}
        internal = {(e.address, e.port) for e in port.internal_endpoints}
        for address in port.cluster_ips:
            if address not in config.own_addresses:
                found[address, port.port] = internal
        for address in port.external_ips + port.load_balancer_ips:
            found[address, port.port] = places
        if port.node_port:
            found |= {(address, port.node_port): places for address in config.node_addresses}
    return found


def stale(flows: Iterable[Flow], ways_in: dict[Place, set[Place]]) -> list[Flow]:
    """UDP flows into one of the Services that nobody behind it (any more) answers."""
    return [
        flow
        for flow in flows
        if flow.protocol == socket.IPPROTO_UDP
        and flow.sent_to in ways_in
        and flow.answered_by not in ways_in[flow.sent_to]
    ]


def list_flows(netlink: Netlink) -> Iterator[Flow]:
    """All IPv4 entries of the namespace."""
    for message in netlink.dump(_GET, _NFGENMSG):
        found = attributes(message.body[len(_NFGENMSG) :])
        if _ORIGINAL in found and _REPLY in found:
            protocol, _, sent_to = _tuple(found[_ORIGINAL])
            _, answered_by, _ = _tuple(found[_REPLY])
            yield Flow(protocol, sent_to, answered_by, found[_ORIGINAL])


def forget(netlink: Netlink, flows: Iterable[Flow]) -> None:
    messages = [Message(_DELETE, 0, _NFGENMSG + attr(_ORIGINAL | NLA_F_NESTED, flow.original)) for flow in flows]
    for start in range(0, len(messages), 100):  # so that all answers fit into the socket's buffer
        netlink.request(*messages[start : start + 100], ignore=(errno.ENOENT,))


def _tuple(raw: bytes) -> tuple[int, Place, Place]:
    """(protocol, source, destination)."""
    parts = attributes(raw)
    addresses, ports = attributes(parts[_TUPLE_IP]), attributes(parts[_TUPLE_PROTO])
    source = socket.inet_ntoa(addresses[_V4_SRC]), _port(ports, _SRC_PORT)
    destination = socket.inet_ntoa(addresses[_V4_DST]), _port(ports, _DST_PORT)
    return ports[_PROTO_NUM][0], source, destination


def _port(ports: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(ports.get(kind, b""), "big")
