"""What a back end of the proxy can do: put a forwarding table into the kernel.

All methods block and are called from a worker thread, one at a time.  ``testing/check_proxier.py`` is the contract
that every back end passes in real network namespaces.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from sampan.proxy.table import Table


class ProxyError(Exception):
    """A back end is not possible here; the message says what is missing."""


@dataclass(frozen=True)
class ProxyConfig:
    """``cluster_cidr`` is the pods' range: who comes from elsewhere to a Service's own address is masqueraded, so that
    the answer comes back by this node. ``own_addresses`` are Service addresses that the node itself answers (DNS);
    they are left alone. Node ports are served on ``node_addresses``. ``netns`` is for tests: normally the process is in
    the node's namespace."""

    node_name: str
    node_addresses: tuple[str, ...]
    cluster_cidr: str = ""
    own_addresses: frozenset[str] = frozenset()
    netns: str = ""

    def __post_init__(self) -> None:
        for address in (*self.node_addresses, *self.own_addresses):
            ipaddress.IPv4Address(address)
        if self.cluster_cidr:
            ipaddress.IPv4Network(self.cluster_cidr)


class Proxier(Protocol):
    def replace(self, table: Table) -> None:
        """Forward exactly ``table``, whatever was there before. Connections that are open stay open."""
        ...

    def update(self, changes: Table) -> None:
        """Forward these Services (by key) as given from now on, the others as before; ``()`` ends a Service."""
        ...

    def is_intact(self) -> bool:
        """Whether nobody else has changed the rules since the last call of ``replace`` or ``update``."""
        ...

    def remove(self) -> None:
        """Take every rule away. A second call does nothing."""
        ...

    def close(self) -> None:
        """Let go of handles; the rules stay and go on forwarding."""
        ...
