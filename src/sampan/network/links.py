"""Links, addresses and routes: the rtnetlink messages a node and its pods need.

Functions named after what they make return a ``Message``, so that several can go to the kernel in one call
(``Netlink.request(a, b, c)``); those that look something up take the socket.

Upstream: what the ``bridge`` and ``ptp`` CNI plugins ask of vishvananda/netlink.  Kernel: linux/if_link.h,
linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from sampan.network.netlink import F_CREATE, F_EXCL, Message, Netlink, attr, attributes, nested, text, u32

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_GETROUTE = 20, 21, 24, 26
IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_GROUP, IFLA_NET_NS_FD = 1, 3, 4, 10, 18, 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE = 4  # hairpin
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 7, 15
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST = 254, 4, 1
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
RTNH_F_ONLINK = 4
_LEAVING = 0x73616D70  # a link group that nobody else uses

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the kernel has it; ``master`` is the bridge's index or 0."""

    index: int
    name: str
    up: bool
    master: int
    mtu: int


def veth(name: str, peer: str, peer_netns: int, mtu: int) -> Message:
    """A pair: ``name`` here, ``peer`` in the namespace behind the file descriptor, never visible here."""
    other = _link() + text(IFLA_IFNAME, peer) + u32(IFLA_MTU, mtu) + u32(IFLA_NET_NS_FD, peer_netns)
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"),
                  nested(IFLA_INFO_DATA, attr(VETH_INFO_PEER | 0x8000, other)))
    return Message(RTM_NEWLINK, F_CREATE | F_EXCL, _link() + text(IFLA_IFNAME, name) + u32(IFLA_MTU, mtu) + info)


def bridge(name: str, mac: bytes, mtu: int) -> Message:
    """A bridge with an address of its own: without one it takes its lowest port's and changes it as pods come and go,
    which would make every neighbour's ARP entry stale."""
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))
    body = _link() + text(IFLA_IFNAME, name) + attr(IFLA_ADDRESS, mac) + u32(IFLA_MTU, mtu) + info
    return Message(RTM_NEWLINK, F_CREATE | F_EXCL, body)


def up(index: int) -> Message:
    return Message(RTM_NEWLINK, 0, _link(index, IFF_UP))


def down(index: int) -> Message:
    return Message(RTM_NEWLINK, 0, _LINK.pack(socket.AF_UNSPEC, 0, index, 0, IFF_UP))


def enslaved(index: int, master: int) -> Message:
    """Plug the link into the bridge."""
    return Message(RTM_NEWLINK, 0, _link(index) + u32(IFLA_MASTER, master))


def bridge_port_up(index: int) -> Message:
    """Switch on a link that is in a bridge (the kernel takes a port's options only then).

    Hairpin: a pod may get back through its port what it sent by it (a request to its own Service).
    """
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"),
                  nested(IFLA_INFO_SLAVE_DATA, attr(IFLA_BRPORT_MODE, b"\1")))
    return Message(RTM_NEWLINK, 0, _link(index, IFF_UP) + info)


def no_link(name: str) -> Message:
    return Message(RTM_DELLINK, 0, _link() + text(IFLA_IFNAME, name))


def no_links(names: Iterable[str]) -> list[Message]:
    """Remove many links at once. The kernel waits for all processors to let go of a removed link (15 ms and more):
    as one group that wait is paid once. Missing links answer ENODEV."""
    marked = [Message(RTM_NEWLINK, 0, _link() + text(IFLA_IFNAME, name) + u32(IFLA_GROUP, _LEAVING)) for name in names]
    return [*marked, Message(RTM_DELLINK, 0, _link() + u32(IFLA_GROUP, _LEAVING))]


def address(index: int, value: str, prefix: int) -> Message:
    return Message(RTM_NEWADDR, F_CREATE | F_EXCL, _address(index, value, prefix))


def no_address(index: int, value: str, prefix: int) -> Message:
    return Message(RTM_DELADDR, 0, _address(index, value, prefix))


def _address(index: int, value: str, prefix: int) -> bytes:
    raw = socket.inet_aton(value)
    fixed = _ADDRESS.pack(socket.AF_INET, prefix, 0, SCOPE_UNIVERSE, index)
    return fixed + attr(IFA_LOCAL, raw) + attr(IFA_ADDRESS, raw)


def route(destination: str, index: int, gateway: str = "", source: str = "") -> Message:
    """``destination`` is a CIDR. With a gateway it need not be on a subnet of the link (onlink)."""
    network = ipaddress.IPv4Network(destination)
    scope, flags = (SCOPE_UNIVERSE, RTNH_F_ONLINK) if gateway else (SCOPE_LINK, 0)
    body = _ROUTE.pack(socket.AF_INET, network.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, flags)
    if network.prefixlen:
        body += attr(RTA_DST, network.network_address.packed)
    if gateway:
        body += attr(RTA_GATEWAY, socket.inet_aton(gateway))
    if source:
        body += attr(RTA_PREFSRC, socket.inet_aton(source))
    return Message(RTM_NEWROUTE, F_CREATE | F_EXCL, body + u32(RTA_OIF, index))


def find(netlink: Netlink, name: str) -> Link | None:
    """The link of that name, or None."""
    try:
        return _parse(netlink.get(RTM_GETLINK, _link() + text(IFLA_IFNAME, name)))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def list_links(netlink: Netlink) -> list[Link]:
    return [_parse(m) for m in netlink.dump(RTM_GETLINK, _link()) if m.kind == RTM_NEWLINK]


def mtu_towards(netlink: Netlink, destination: str) -> int | None:
    """MTU of the link that the route to exactly this CIDR leaves by; None without such a route."""
    owner = route_owner(netlink, destination)
    return next((link.mtu for link in list_links(netlink) if link.index == owner), None)


def route_owner(netlink: Netlink, destination: str) -> int | None:
    """Index of the link that the main table's route to exactly this CIDR leaves by; None without such a route."""
    network = ipaddress.IPv4Network(destination)
    for message in netlink.dump(RTM_GETROUTE, _ROUTE.pack(socket.AF_INET, *[0] * 8)):
        length, table = message.body[1], message.body[4]
        found = attributes(message.body[_ROUTE.size :])
        same = found.get(RTA_DST, bytes(4)) == network.network_address.packed and length == network.prefixlen
        if same and table == RT_TABLE_MAIN and RTA_OIF in found:
            return int(struct.unpack("=I", found[RTA_OIF])[0])
    return None


def _link(index: int = 0, flags: int = 0) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, flags)


def _parse(message: Message) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(message.body)
    found = attributes(message.body[_LINK.size :])
    number = struct.Struct("=I").unpack
    return Link(
        index,
        found[IFLA_IFNAME].rstrip(b"\0").decode(),
        bool(flags & IFF_UP),
        number(found[IFLA_MASTER])[0] if IFLA_MASTER in found else 0,
        number(found[IFLA_MTU])[0],
    )
