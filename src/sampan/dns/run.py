"""The DNS of one node: the zone kept equal to the API, and the server on the node's addresses.

The address of the ``kube-dns`` Service is put on the node's loopback device as well, so that what pods send there
arrives at this process without any rule in between: DNS answers before the proxy's first synchronisation, and needs no
translation and no entry in its tables.  The proxy is told (``ProxyConfig.own_addresses``) to leave the address alone.
On the node's own address the same server answers for kube-proxies that do forward, by the EndpointSlice of
``service.py``.

Upstream: CoreDNS, and NodeLocal DNSCache for the address on the node.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sampan.api.resources import ENDPOINTSLICES, SERVICES
from sampan.dns.answer import Responder
from sampan.dns.forward import Forwarder, Upstream, host_resolvers
from sampan.dns.records import records_for, service_of
from sampan.dns.server import DnsServer
from sampan.dns.zone import TTL_SECONDS, Zone
from sampan.network import links
from sampan.network.netlink import Netlink

if TYPE_CHECKING:
    from sampan.client.informer import Informers

log = logging.getLogger(__name__)

Object = dict[str, Any]
INDEX = "service"  # EndpointSlices by their Service; the proxy shares informer and index
LOOPBACK_INDEX = 1
_AT_A_TIME = 100  # 70 µs each


@dataclass(frozen=True)
class DnsConfig:
    """``service_address`` is kube-dns', put on the loopback device. ``upstreams`` None means the host's resolvers."""

    service_address: str
    node_addresses: tuple[str, ...] = ()
    domain: str = "cluster.local"
    upstreams: tuple[Upstream, ...] | None = None
    ttl_seconds: int = TTL_SECONDS
    port: int = 53

    def __post_init__(self) -> None:
        for address in self.addresses:
            ipaddress.IPv4Address(address)

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.service_address, *self.node_addresses)


class Dns:
    """``start`` answers at once: with SERVFAIL for the cluster's names until the first lists are there."""

    def __init__(self, informers: Informers, config: DnsConfig) -> None:
        self._config = config
        self._services = informers.informer(SERVICES)
        self._slices = informers.informer(ENDPOINTSLICES)
        self._slices.add_index(INDEX, lambda obj: [service_of(obj)])
        self.zone = Zone(config.domain, config.node_addresses or (config.service_address,), config.ttl_seconds)
        upstreams: Sequence[Upstream] | None = config.upstreams
        self._forwarder = Forwarder(host_resolvers(config.addresses) if upstreams is None else upstreams)
        self._responder = Responder(self.zone, self._forwarder)
        self._responder.ready = False
        self._server = DnsServer(self._responder, config.addresses, config.port)
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises: OSError when an address cannot be bound."""
        add_loopback_address(self._config.service_address)
        await self._server.start()
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)
        self._task = asyncio.create_task(self._run(), name="dns")

    async def synced(self) -> None:
        """Wait until all names are known."""
        await self._synced.wait()

    async def close(self) -> None:
        """Stop. The address stays on the loopback device, for the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._server.close()
        await self._forwarder.close()

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        meta = (new or old or {})["metadata"]
        self._mark(f"{meta['namespace']}/{meta['name']}")

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in (old, new):
            if obj is not None and (key := service_of(obj)):
                self._mark(key)

    def _mark(self, key: str) -> None:
        self._changed.add(key)
        self._wake.set()

    async def _run(self) -> None:
        await self._services.synced()
        await self._slices.synced()
        while True:
            self._wake.clear()
            await self._update()
            if not self._synced.is_set():
                self._responder.ready = True
                self._synced.set()
            await self._wake.wait()

    async def _update(self) -> None:
        """A few at a time, so that 10,000 Services at the start keep nobody waiting."""
        while self._changed:
            for _ in range(min(_AT_A_TIME, len(self._changed))):
                key = self._changed.pop()
                try:
                    self._set(key)
                except (KeyError, ValueError, OSError):
                    log.exception("failed to make records of service %s", key)
            await asyncio.sleep(0)

    def _set(self, key: str) -> None:
        slices = self._slices.by_index(INDEX, key)
        self.zone.update(key, records_for(self._services.get(key), slices, self._config.domain))


def add_loopback_address(address: str) -> None:
    """Make the address this node's own. A second call does nothing."""
    if ipaddress.IPv4Address(address).is_loopback:
        return
    with Netlink() as netlink:
        netlink.request(links.up(LOOPBACK_INDEX), links.address(LOOPBACK_INDEX, address, 32), ignore=(errno.EEXIST,))
