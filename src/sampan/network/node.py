"""A node is a network namespace: making it, and joining it to the host.

::

    host                                            node's namespace (/run/netns/sampan-<cluster>.<node>)
    spn-1a2b3c4d  172.29.0.1/32  <—— veth pair ——>  eth0  172.29.0.2/32      lo up, ip_forward = 1
    172.29.0.2/32   dev spn-1a2b3c4d                default via 172.29.0.1 dev eth0 onlink
    10.244.0.0/24   via 172.29.0.2  (its pods)
    10.96.0.0/16    via 172.29.0.2  (Services; the first node only)

The veth pair with its routes is all the host sees of a node; all of it goes with the link.  Both ends carry a /32:
several nodes then share the host's one address, and a packet from node to node is routed by the host instead of
being looked for, in vain, on a wire that only joins two.  For that the host's end (and only it) forwards.

``route_localnet`` stays off: NodePorts answer on the node's addresses, not on 127.0.0.1, as with upstream's nftables
mode; with it on, a neighbour could reach what a pod or the node serves on loopback only (CVE-2020-8558).

Each step looks at what is there first, so that a crash between two of them is repaired by calling again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sampan.network import links, netns
from sampan.network.netlink import Netlink

NODE_LINK = "eth0"
LOOPBACK_INDEX = 1


@dataclass(frozen=True)
class NodeNetwork:
    """One node's place in the network. An empty CIDR gets no route on the host."""

    cluster: str
    node: str
    host_address: str
    node_address: str
    prefix: int = 32
    pod_cidr: str = ""
    service_cidr: str = ""
    mtu: int = 1500

    @property
    def netns_name(self) -> str:
        return f"sampan-{self.cluster}.{self.node}"

    @property
    def netns_path(self) -> Path:
        return netns.RUN_NETNS / self.netns_name

    @property
    def host_link(self) -> str:
        """Link names hold 15 bytes, so the cluster's and node's names are hashed."""
        digest = hashlib.blake2s(f"{self.cluster}/{self.node}".encode(), digest_size=4).hexdigest()
        return f"spn-{digest}"


def create_node_network(network: NodeNetwork) -> Path:
    """Make what is missing; returns the path of the namespace. Blocks for some ms. A second call changes nothing.

    Raises: OSError, naming the range, when the host has another route to one of the node's ranges.
    """
    netns.pin(network.netns_path)
    with Netlink() as host, netns.open_netlink(network.netns_path) as node:
        _join(network, host, node)
        _set_up_node(network, node)
        _set_up_host(network, host)
    netns.run_in(network.netns_path, lambda: set_sysctl("net/ipv4/ip_forward", "1"))
    return network.netns_path


def remove_node_network(network: NodeNetwork) -> None:
    """Take away link, routes and namespace. A second call does nothing."""
    with Netlink() as host:
        host.request(links.no_link(network.host_link), ignore=(errno.ENODEV,))
    netns.unpin(network.netns_path)


def set_link(network: NodeNetwork, *, up: bool) -> None:
    """Cut the node off the host, or join it again: a partition. Routes through the link are set again on the way."""
    with Netlink() as host:
        link = links.find(host, network.host_link)
        if link is None:
            raise OSError(errno.ENODEV, f"node {network.node} has no link {network.host_link}")
        if up:
            _set_up_host(network, host)
        else:
            host.request(links.down(link.index))


def _join(network: NodeNetwork, host: Netlink, node: Netlink) -> None:
    ours, theirs = links.find(host, network.host_link), links.find(node, NODE_LINK)
    if ours is not None and theirs is not None:
        return
    if ours is not None:  # its other end is in a namespace that is no longer pinned
        host.request(links.no_link(network.host_link), ignore=(errno.ENODEV,))
    fd = os.open(network.netns_path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        host.request(links.veth(network.host_link, NODE_LINK, fd, network.mtu))
    finally:
        os.close(fd)


def _set_up_node(network: NodeNetwork, node: Netlink) -> None:
    index = _index(node, NODE_LINK)
    node.request(
        links.up(LOOPBACK_INDEX),
        links.address(index, network.node_address, network.prefix),
        links.up(index),
        links.route("0.0.0.0/0", index, gateway=network.host_address),
        ignore=(errno.EEXIST,),
    )


def _set_up_host(network: NodeNetwork, host: Netlink) -> None:
    index = _index(host, network.host_link)
    host.request(
        links.address(index, network.host_address, network.prefix), links.up(index), ignore=(errno.EEXIST,)
    )
    # Only what comes out of the node is forwarded; the host's other links keep whatever the host had decided.
    set_sysctl(f"net/ipv4/conf/{network.host_link}/forwarding", "1")
    wanted = {f"{network.node_address}/32": ""}
    wanted |= {cidr: network.node_address for cidr in (network.pod_cidr, network.service_cidr) if cidr}
    for cidr, gateway in wanted.items():
        try:
            host.request(links.route(cidr, index, gateway, network.host_address))
        except FileExistsError:
            _check_owner(host, cidr, index)


def _check_owner(host: Netlink, cidr: str, index: int) -> None:
    """An existing route must be ours: silently taking over a VPN's or another cluster's range would break it."""
    owner = links.route_owner(host, cidr)
    if owner != index:
        raise FileExistsError(errno.EEXIST, f"the host already has a route to {cidr}; choose another range")


def _index(netlink: Netlink, name: str) -> int:
    link = links.find(netlink, name)
    if link is None:
        raise OSError(errno.ENODEV, f"link {name} is gone")
    return link.index


def set_sysctl(path: str, value: str) -> None:
    """Write below /proc/sys, which shows the namespace of the thread that opens it."""
    Path("/proc/sys", path).write_text(value)


def host_mtu() -> int:
    """For ``NodeNetwork.mtu`` and the pods': no packet should be too large for the host's uplink (VPNs, clouds)."""
    with Netlink() as host:
        return min(links.mtu_towards(host, "0.0.0.0/0") or 1500, 1500)


def uplink_mtu() -> int:
    """For pods, asked in the node: what its own link to the host was given."""
    with Netlink() as node:
        link = links.find(node, NODE_LINK)
        return link.mtu if link is not None else 1500


def node_networks(cluster: str) -> list[str]:
    """Names of the nodes of ``cluster`` that have a pinned namespace here, whatever became of their state files."""
    prefix = f"sampan-{cluster}."  # no cluster has a dot in its name, so "a" does not match what is of "a-b"
    with contextlib.suppress(FileNotFoundError):
        return sorted(p.name.removeprefix(prefix) for p in netns.RUN_NETNS.iterdir() if p.name.startswith(prefix))
    return []
