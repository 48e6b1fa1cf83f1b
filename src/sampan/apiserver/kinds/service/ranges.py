"""Which Service addresses and node ports are taken, and who holds the next one.

What is taken is what the existing Services say; there is no second record that could disagree.  One server process
decides: the first allocation reads all Services under a lock, later ones keep that view up to date, and a write whose
fate is unknown makes the next allocation read again.  Addresses that are asked for by number come from the same range
as those drawn, so drawing prefers the upper part, where nobody writes numbers by hand (upstream's KEP-3070).

Upstream: ``pkg/registry/core/service/{ipallocator,portallocator,storage/alloc.go}``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sampan.api.errors import ApiError, FieldError, InternalError, Invalid
from sampan.api.meta import name
from sampan.api.resources import SERVICES
from sampan.apiserver.admission.base import Server
from sampan.apiserver.kinds.service.defaults import (
    HEADLESS,
    is_headless,
    needs_cluster_ip,
    needs_health_check_port,
    needs_node_ports,
)

Object = dict[str, Any]


class Taken(Exception):
    """Why a number can't be had."""


@dataclass(slots=True)
class Pool:
    """Integers from ``first`` to ``last``; drawing prefers those from ``first + offset`` on."""

    first: int
    last: int
    offset: int
    used: set[int] = field(default_factory=set)

    def draw(self) -> int:
        """A random free number, now taken. Raises: Taken."""
        for low, high in ((self.first + self.offset, self.last), (self.first, self.first + self.offset - 1)):
            size = high - low + 1
            start = random.randrange(size) if size > 0 else 0
            for step in range(size):
                number = low + (start + step) % size
                if number not in self.used:
                    self.used.add(number)
                    return number
        raise Taken("range is full")

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


def band(size: int, low: int, step: int, high: int) -> int:
    """How many of the lowest numbers are left to those who ask for one by number."""
    return 0 if size < low else min(max(low, size // step), high)


@dataclass(slots=True)
class Held:
    """What one write took, and what it lets go when it succeeds."""

    addresses: set[int] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)


class ServiceRanges:
    """The addresses and node ports of one cluster. Make one per API server."""

    def __init__(self, cidr: str = "10.96.0.0/16", node_ports: tuple[int, int] = (30000, 32767)) -> None:
        self.network = ipaddress.ip_network(cidr)
        self.family = f"IPv{self.network.version}"
        base, size = int(self.network.network_address), self.network.num_addresses
        self._addresses = Pool(base + 1, base + size - 2, band(size, 16, 16, 256))
        first, last = node_ports
        self._ports = Pool(first, last, band(last - first + 1, 16, 32, 128))
        self._loaded = False
        self._lock = asyncio.Lock()
        self._pending: list[Held] = []  # writes under way: their Services may not be in the store yet

    async def load(self, server: Server) -> None:
        """Read what is taken from the Services that exist; once, and again after ``forget``."""
        async with self._lock:
            if self._loaded:
                return
            before = list(self._pending)
            services = await server.list_objects(SERVICES)
            pending = before + self._pending
            self._addresses.used = {a for s in services for a in _addresses(s)}.union(*(h.addresses for h in pending))
            self._ports.used = {p for s in services for p in _ports(s)}.union(*(h.ports for h in pending))
            self._loaded = True

    def forget(self) -> None:
        """The fate of a write is unknown: what the store says is what counts."""
        self._loaded = False

    def allocate(self, service: Object, old: Object | None) -> Held:
        """Fill in the addresses and ports of ``service``, in place. Gives all back if one is refused.

        Raises: Invalid (asked for by number), InternalError (the range is full).
        """
        held = Held()
        self._pending.append(held)
        try:
            self._allocate_address(service, old, held)
            self._allocate_ports(service, old, held)
        except ApiError:
            self.release(held)
            raise
        return held

    def settle(self, held: Held) -> None:
        """The write is over, one way or the other; what it took stays taken."""
        self._pending = [each for each in self._pending if each is not held]

    def release(self, held: Held) -> None:
        """The write did not happen."""
        self.settle(held)
        self._addresses.used -= held.addresses
        self._ports.used -= held.ports

    def let_go(self, old: Object, new: Object | None) -> None:
        """After a successful write: what ``old`` had and ``new`` (None: it is deleted) has no more is free."""
        self._addresses.used -= set(_addresses(old)) - set(_addresses(new or {}))
        self._ports.used -= set(_ports(old)) - set(_ports(new or {}))

    def _allocate_address(self, service: Object, old: Object | None, held: Held) -> None:
        spec = service["spec"]
        if not needs_cluster_ip(spec):
            return
        self._set_families(service)
        if is_headless(spec):
            spec["clusterIPs"] = [HEADLESS]
            return
        if not spec.get("clusterIP"):
            try:
                number = self._addresses.draw()
            except Taken as full:
                raise InternalError(f"failed to allocate a serviceIP: {full}") from full
            spec["clusterIP"] = str(ipaddress.ip_address(number))
            held.addresses.add(number)
        elif spec["clusterIP"] not in _ips(old):
            held.addresses.add(self._claim_address(service, spec["clusterIP"]))
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _set_families(self, service: Object) -> None:
        """One address family until the pods' network has two. Raises: Invalid."""
        spec = service["spec"]
        families = spec.get("ipFamilies") or [self.family]
        if not is_headless(spec) or spec.get("selector"):
            for i, family in enumerate(families):
                if family != self.family:
                    raise Invalid.of(SERVICES, name(service), [FieldError.invalid(
                        f"spec.ipFamilies[{i}]", family, "not configured on this cluster")])
            if spec.get("ipFamilyPolicy") == "RequireDualStack":
                raise Invalid.of(SERVICES, name(service), [FieldError.invalid(
                    "spec.ipFamilyPolicy", "RequireDualStack", "this cluster is not configured for dual-stack "
                    "services")])
        spec["ipFamilies"] = families
        spec["ipFamilyPolicy"] = spec.get("ipFamilyPolicy") or "SingleStack"

    def _claim_address(self, service: Object, address: str) -> int:
        number = int(ipaddress.ip_address(address))
        why = ""
        if ipaddress.ip_address(address).version != self.network.version or number not in self._addresses:
            why = (f"the provided IP ({address}) is not in the valid range. "
                   f"The range of valid IPs is {self.network}")
        elif number in self._addresses.used:
            why = "provided IP is already allocated"
        if why:
            raise Invalid.of(SERVICES, name(service), [FieldError.invalid(
                "spec.clusterIPs", service["spec"].get("clusterIPs") or [address],
                f"failed to allocate IP {address}: {why}")])
        self._addresses.used.add(number)
        return number

    def _allocate_ports(self, service: Object, old: Object | None, held: Held) -> None:
        spec, had = service["spec"], set(_ports(old or {}))
        ports = (spec.get("ports") or []) if needs_node_ports(spec) else []
        for i, entry in enumerate(ports):  # first those asked for, lest a drawn one takes them
            if entry.get("nodePort") and entry["nodePort"] not in had | held.ports:
                held.ports.add(self._claim_port(service, entry["nodePort"], f"spec.ports[{i}].nodePort"))
        for entry in ports:
            if not entry.get("nodePort"):
                entry["nodePort"] = self._draw_port(ports, entry, held, "nodePort")
        if needs_health_check_port(spec):
            if not spec.get("healthCheckNodePort"):
                spec["healthCheckNodePort"] = self._draw_port([], {}, held, "HealthCheck node port")
            elif spec["healthCheckNodePort"] not in had:
                held.ports.add(self._claim_port(service, spec["healthCheckNodePort"], "spec.healthCheckNodePort"))

    def _draw_port(self, ports: list[Object], entry: Object, held: Held, what: str) -> int:
        """One number serves the same port over TCP and UDP (DNS)."""
        for other in ports:
            if other.get("nodePort") and other.get("port") == entry["port"] \
                    and other.get("protocol") != entry.get("protocol"):
                return int(other["nodePort"])
        try:
            number = self._ports.draw()
        except Taken as full:
            raise InternalError(f"failed to allocate a {what}: {full}") from full
        held.ports.add(number)
        return number

    def _claim_port(self, service: Object, number: int, path: str) -> int:
        why = ""
        if number not in self._ports:
            why = f"provided port is not in the valid range. The range of valid ports is {self._ports.first}-" \
                  f"{self._ports.last}"
        elif number in self._ports.used:
            why = "provided port is already allocated"
        if why:
            raise Invalid.of(SERVICES, name(service), [FieldError.invalid(path, number, why)])
        self._ports.used.add(number)
        return number


def _ips(service: Object | None) -> Iterable[str]:
    spec = (service or {}).get("spec") or {}
    return {spec.get("clusterIP") or "", *(spec.get("clusterIPs") or ())} - {"", HEADLESS}


def _addresses(service: Object) -> Iterable[int]:
    return (int(ipaddress.ip_address(ip)) for ip in _ips(service))


def _ports(service: Object) -> Iterable[int]:
    spec = service.get("spec") or {}
    yield from (port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort"))
    if spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"]
