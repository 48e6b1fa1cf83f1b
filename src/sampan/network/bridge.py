"""The default pod network: a bridge in the node, a veth pair for each pod.

::

    node's namespace                                pod's namespace
    sampan0 (bridge)  10.244.0.1/32                 eth0  10.244.0.7/32
      └ veth1a2b3c4d  <———— veth pair ———————————>    10.244.0.1 dev eth0
    10.244.0.0/24 dev sampan0                         default via 10.244.0.1

A pod's address is a /32 with the node as its only neighbour.  Pods of one node could talk through the bridge alone,
but then the answer of a pod to its neighbour's Service request would go straight back across the bridge, past the
rules that must translate it, unless the host has br_netfilter loaded and set up.  Routed through the node, both ways
always meet the rules.  Hairpin mode is set all the same: where br_netfilter *is* on, a pod's request to itself
through its Service is turned round inside the bridge.

The node's end is joined to the bridge last: a link that is up and in the bridge is complete, anything else is the
rest of a crash, and is removed and made again.

Upstream: the ``bridge`` and ``ptp`` CNI plugins, kindnet.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import ipaddress
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sampan.network import links, netns
from sampan.network.ipam import Addresses
from sampan.network.netlink import Netlink
from sampan.network.node import set_sysctl

T = TypeVar("T")

POD_LINK = "eth0"
LOOPBACK_INDEX = 1


@dataclass(frozen=True)
class BridgeConfig:
    """``pod_cidr`` is the node's own range. ``netns`` is the node's namespace, empty when the process runs in it."""

    pod_cidr: str
    state_dir: Path
    bridge: str = "sampan0"
    mtu: int = 1500
    netns: str = ""

    @property
    def gateway(self) -> str:
        return str(ipaddress.IPv4Network(self.pod_cidr)[1])

    @property
    def mac(self) -> bytes:
        """Locally administered, made from the address: the same after every restart."""
        return b"\x0a\x58" + ipaddress.IPv4Address(self.gateway).packed


def link_name(sandbox_id: str) -> str:
    """The node's end of a pod's pair; 12 of the 15 bytes that a link name may have."""
    return "veth" + hashlib.blake2s(sandbox_id.encode(), digest_size=4).hexdigest()


class BridgeNetwork:
    """A ``PodNetwork``. Netlink blocks (a few ms for a pod), so each call runs in a worker thread, one at a time:
    the kernel changes links one at a time anyhow."""

    def __init__(self, config: BridgeConfig) -> None:
        self._config = config
        self._addresses = Addresses(config.state_dir, config.pod_cidr, [config.gateway])
        self._lock = threading.Lock()
        self._leaving: deque[str] = deque()
        self._bridge_index = 0
        self._node: Netlink | None = None

    async def start(self) -> None:
        """Make the bridge, so that the first pod need not wait for it. Optional, and a second call does nothing."""
        await asyncio.to_thread(self._locked, lambda: None)

    async def attach(self, sandbox_id: str, netns: str) -> list[str]:
        """See ``PodNetwork.attach``."""
        return await asyncio.to_thread(self._locked, lambda: self._attach(sandbox_id, netns))

    async def detach(self, sandbox_id: str) -> None:
        """See ``PodNetwork.detach``."""
        self._leaving.append(sandbox_id)
        await asyncio.to_thread(self._locked, self._detach_leaving)

    async def garbage_collect(self, live: set[str]) -> None:
        """See ``PodNetwork.garbage_collect``."""
        await asyncio.to_thread(self._locked, lambda: self._garbage_collect(live))

    def close(self) -> None:
        """Let go of the socket; links and addresses stay."""
        if self._node is not None:
            self._node.close()
            self._node = None
            self._bridge_index = 0

    def _locked(self, work: Callable[[], T]) -> T:
        with self._lock:
            if self._node is None:
                self._node = netns.open_netlink(self._config.netns)
            return work()

    @property
    def _netlink(self) -> Netlink:
        assert self._node is not None  # opened by _locked
        return self._node

    def _attach(self, sandbox_id: str, path: str) -> list[str]:
        name, bridge = link_name(sandbox_id), self._bridge()
        address = self._addresses.allocate(sandbox_id)
        existing = links.find(self._netlink, name)
        if existing is not None and existing.up and existing.master == bridge:
            return [address]
        if existing is not None:
            self._netlink.request(links.no_link(name), ignore=(errno.ENODEV,))
        try:
            self._plug(name, bridge, path, address)
        except OSError:
            self._detach([sandbox_id])
            raise
        return [address]

    def _plug(self, name: str, bridge: int, path: str, address: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._netlink.request(links.veth(name, POD_LINK, fd, self._config.mtu))
        finally:
            os.close(fd)
        with netns.open_netlink(path) as pod:
            self._set_up_pod(pod, address)
        port = links.find(self._netlink, name)
        if port is None:
            raise OSError(errno.ENODEV, f"link {name} is gone")
        self._netlink.request(links.enslaved(port.index, bridge), links.bridge_port_up(port.index))

    def _set_up_pod(self, pod: Netlink, address: str) -> None:
        link = links.find(pod, POD_LINK)
        if link is None:
            raise OSError(errno.ENODEV, f"link {POD_LINK} is gone from the pod")
        gateway = self._config.gateway
        pod.request(
            links.up(LOOPBACK_INDEX),
            links.up(link.index),
            links.address(link.index, address, 32),
            links.route(f"{gateway}/32", link.index),
            links.route("0.0.0.0/0", link.index, gateway),
        )

    def _detach_leaving(self) -> None:
        """Everybody who asked while another detach was at work goes together; who comes later finds it done."""
        leaving = [self._leaving.popleft() for _ in range(len(self._leaving))]
        try:
            self._detach(leaving)
        except OSError:
            self._leaving.extend(leaving)  # the next call tries again
            raise

    def _detach(self, leaving: Iterable[str]) -> None:
        """The links first: an address must not be given to another pod while this one still answers to it."""
        if leaving := list(leaving):
            self._remove_links([link_name(sandbox_id) for sandbox_id in leaving])
        for sandbox_id in leaving:
            self._addresses.release(sandbox_id)

    def _remove_links(self, names: list[str]) -> None:
        self._netlink.request(*links.no_links(names), ignore=(errno.ENODEV,))

    def _garbage_collect(self, live: set[str]) -> None:
        keep, bridge = {link_name(sandbox_id) for sandbox_id in live}, self._bridge()
        ports = [link.name for link in links.list_links(self._netlink) if link.master == bridge]
        if strangers := [name for name in ports if name not in keep]:
            self._remove_links(strangers)
        self._detach(self._addresses.owners() - live)

    def _bridge(self) -> int:
        """The bridge's index; made on first use."""
        if self._bridge_index:
            return self._bridge_index
        config, netlink = self._config, self._netlink
        netlink.request(links.bridge(config.bridge, config.mac, config.mtu), ignore=(errno.EEXIST,))
        found = links.find(netlink, config.bridge)
        if found is None:
            raise OSError(errno.ENODEV, f"bridge {config.bridge} is gone")
        netlink.request(
            links.address(found.index, config.gateway, 32),
            links.up(found.index),
            links.route(config.pod_cidr, found.index, source=config.gateway),
            ignore=(errno.EEXIST,),
        )
        self._without_redirects()
        self._bridge_index = found.index
        return found.index

    def _without_redirects(self) -> None:
        """Pods send to each other through the node on purpose; it must not advise them (ICMP redirect) against it."""
        config = self._config

        def write() -> None:
            for scope in ("all", config.bridge):  # the kernel takes the greater of the two
                set_sysctl(f"net/ipv4/conf/{scope}/send_redirects", "0")
            set_sysctl("net/ipv4/ip_forward", "1")

        netns.run_in(config.netns, write) if config.netns else write()
