"""Keeping the kernel's rules equal to the API's Services.

Informers say which Services may have changed; a change is handled at once, and what comes in while the kernel is
busy is handled together afterwards.  Every 30 s it is looked whether the rules are still as they were left; if not,
and after any error, all of them are put in place again, in one transaction.

The back end blocks and so runs in a thread; the cache is read on the event loop, where it belongs.

Upstream: pkg/proxy (config, the ``syncRunner`` of each back end).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sampan.api.resources import ENDPOINTSLICES, SERVICES
from sampan.network import netns
from sampan.network.netlink import NETLINK_NETFILTER
from sampan.proxy import conntrack
from sampan.proxy.base import Proxier, ProxyConfig
from sampan.proxy.health import HealthPorts, checks
from sampan.proxy.modes import open_proxier
from sampan.proxy.table import ServicePort, Table, service_of, service_ports

if TYPE_CHECKING:
    from sampan.client.informer import Informers

log = logging.getLogger(__name__)

Object = dict[str, Any]
REPAIR_SECONDS = 30.0
RETRY_SECONDS = 1.0
INDEX = "service"  # EndpointSlices by their Service; DNS shares informer and index


class Proxy:
    """The kube-proxy of one node. ``mode`` says after ``start`` which back end it is."""

    def __init__(
        self, informers: Informers, config: ProxyConfig, mode: str = "auto", *, repair_seconds: float = REPAIR_SECONDS,
    ) -> None:
        self.mode = mode
        self._config = config
        self._repair_seconds = repair_seconds
        self._services = informers.informer(SERVICES)
        self._slices = informers.informer(ENDPOINTSLICES)
        self._slices.add_index(INDEX, lambda obj: [service_of(obj)])
        self._table: dict[str, tuple[ServicePort, ...]] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._synced = asyncio.Event()
        self._health = HealthPorts()
        self._proxier: Proxier | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the back end and begin. Raises: ProxyError when the mode is not possible here."""
        proxier, self.mode, reason = await asyncio.to_thread(open_proxier, self.mode, self._config)
        self._proxier = proxier
        log.info("chose proxy mode=%s%s", self.mode, f" because {reason}" if reason else "")
        self._services.on_change(self._service_changed)
        self._slices.on_change(self._slice_changed)
        self._task = asyncio.create_task(self._run(proxier), name="proxy")

    async def synced(self) -> None:
        """Wait until the rules are in the kernel for the first time."""
        await self._synced.wait()

    async def close(self, *, remove: bool = False) -> None:
        """Stop. The rules stay and go on forwarding, unless they are to be removed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._health.close()
        proxier, self._proxier = self._proxier, None
        if proxier is not None:
            if remove:
                await asyncio.to_thread(proxier.remove)
            proxier.close()

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

    async def _run(self, proxier: Proxier) -> None:
        # Half a list would be a table without half the Services: wait for both.
        await self._services.synced()
        await self._slices.synced()
        work = self._replace
        while True:
            if await self._attempt(proxier, work):
                self._synced.set()
                work = self._update if await self._woken() else self._repair
            else:
                await asyncio.sleep(RETRY_SECONDS)
                work = self._replace

    async def _woken(self) -> bool:
        """Whether a change came, or else the time for a look at the rules."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._repair_seconds):
                await self._wake.wait()
                return True
        return False

    async def _attempt(self, proxier: Proxier, work: Callable[[Proxier], Awaitable[None]]) -> bool:
        try:
            await work(proxier)
        except OSError as error:
            log.error("failed to set the rules mode=%s error=%s", self.mode, error)
            return False
        return True

    async def _replace(self, proxier: Proxier) -> None:
        self._wake.clear()
        self._changed.clear()
        self._table = await self._compute({self._key(obj) for obj in self._services.list()})
        await asyncio.to_thread(proxier.replace, self._table)
        await self._health.update(checks(self._table))
        await self._forget_stale(self._table)

    async def _update(self, proxier: Proxier) -> None:
        self._wake.clear()
        keys, self._changed = self._changed, set()
        fresh = await self._compute(keys)
        changes = {key: ports for key, ports in fresh.items() if ports != self._table.get(key, ())}
        if not changes:
            return
        before = {key: self._table.get(key, ()) for key in changes}
        await asyncio.to_thread(proxier.update, changes)
        for key, ports in changes.items():
            if ports:
                self._table[key] = ports
            else:
                self._table.pop(key, None)
        if any(p.health_check_node_port for both in (changes, before) for ports in both.values() for p in ports):
            await self._health.update(checks(self._table))
        await self._forget_stale(changes, before)

    async def _repair(self, proxier: Proxier) -> None:
        if not await asyncio.to_thread(proxier.is_intact):
            log.warning("rules were changed by somebody else, set them again mode=%s", self.mode)
            await self._replace(proxier)

    async def _compute(self, keys: set[str]) -> dict[str, tuple[ServicePort, ...]]:
        """The keys' part of the table. Few are computed at once, many in a thread: 10,000 take half a second."""
        given = [(key, self._services.get(key), self._slices.by_index(INDEX, key)) for key in keys]

        def compute() -> dict[str, tuple[ServicePort, ...]]:
            return {key: service_ports(service, slices, self._config.node_name) for key, service, slices in given}

        return compute() if len(given) < 100 else await asyncio.to_thread(compute)

    async def _forget_stale(self, changes: Table, before: Table | None = None) -> None:
        """A way in that has gone has no endpoints: everything that went through it is to be forgotten."""
        ways_in: dict[conntrack.Place, set[conntrack.Place]] = {}
        for ports in (before or {}).values():
            ways_in |= {way: set() for way in conntrack.frontends(ports, self._config)}
        for ports in changes.values():
            ways_in |= conntrack.frontends(ports, self._config)
        if ways_in:
            await asyncio.to_thread(_forget_stale, self._config.netns, ways_in)

    @staticmethod
    def _key(obj: Object) -> str:
        return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _forget_stale(path: str, ways_in: dict[conntrack.Place, set[conntrack.Place]]) -> None:
    with netns.open_netlink(path, NETLINK_NETFILTER) as netlink:
        conntrack.forget(netlink, conntrack.stale(list(conntrack.list_flows(netlink)), ways_in))
