"""The default back end: nftables.

``nft_layout.py`` says what the rules look like; this file keeps the kernel's maps equal to what the Services want,
each time in one transaction.  Beside the text for the changed elements nothing is read or written, so that the
price of a change does not grow with the number of Services.

Client affinity is the one thing that the kernel writes itself.  It is carried over when all is replaced, and what
points to an endpoint that has gone is taken out after each change of such a Service.

Upstream: pkg/proxy/nftables/proxier.go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from sampan.network import netns
from sampan.network.netlink import NETLINK_NETFILTER, attributes
from sampan.network.nft import Nft, open_nft
from sampan.proxy import nft_affinity, nft_layout
from sampan.proxy.base import ProxyConfig, ProxyError
from sampan.proxy.claims import Claims, Diff
from sampan.proxy.nft_layout import TABLE, Element
from sampan.proxy.table import ServicePort, Table

_GET_GENERATION = 10 << 8 | 16
_NFGENMSG = struct.pack("=BBH", 0, 0, 0)
_GENERATION_ID = 1


class NftablesProxier:
    """A ``Proxier``."""

    def __init__(self, config: ProxyConfig) -> None:
        """Raises: ProxyError when nftables is not there."""
        self._config = config
        try:
            self._nft: Nft = open_nft(config.netns)
            self._nft.run("list tables")
        except OSError as error:
            raise ProxyError(f"nftables cannot be used: {error}") from error
        self._netlink = netns.open_netlink(config.netns, NETLINK_NETFILTER)
        self._claims: Claims[Element] = Claims()
        self._chains: set[str] = set()
        self._affine: set[str] = set()
        self._generation = -1

    def replace(self, table: Table) -> None:
        remembered = nft_affinity.read(self._nft)
        self._claims, self._chains, self._affine = Claims(), set(), set()
        diff = self._diff(table)
        current, _ = nft_affinity.split(remembered, self._affine_endpoints())
        self._run([nft_layout.base(self._config)], diff, nft_affinity.restore(current))

    def update(self, changes: Table) -> None:
        affine = self._affine & set(changes)
        diff = self._diff(changes)
        if diff.remove or diff.add:
            self._run([], diff, [])
        if affine:
            self._forget_gone()

    def is_intact(self) -> bool:
        """The kernel counts transactions: the same number as after our last one means that nobody changed a thing."""
        return self._generation == self._read_generation()

    def remove(self) -> None:
        self._nft.run(f"add table ip {TABLE}\ndelete table ip {TABLE}")
        self._claims, self._chains, self._affine = Claims(), set(), set()

    def close(self) -> None:
        self._nft.close()
        self._netlink.close()

    def _diff(self, changes: Table) -> Diff[Element]:
        diff: Diff[Element] = Diff()
        for service, ports in changes.items():
            self._claims.update(service, self._elements(ports), diff)
            if any(port.affinity_seconds for port in ports):
                self._affine.add(service)
            else:
                self._affine.discard(service)
        return diff

    def _elements(self, ports: Iterable[ServicePort]) -> dict[Element, str]:
        found: dict[Element, str] = {}
        for port in ports:
            found |= nft_layout.elements(port, self._config)
        return found

    def _run(self, before: list[str], diff: Diff[Element], after: list[str]) -> None:
        self._generation = -1  # until it is known to have worked
        chains = nft_layout.chains(diff.add.values(), self._chains)
        text = "\n".join(before + chains + nft_layout.commands(diff.remove, diff.add) + after)
        self._nft.run(text)
        self._generation = self._read_generation()

    def _forget_gone(self) -> None:
        """Until nothing is found: a packet on its way through the old rules may have added one meanwhile."""
        while gone := nft_affinity.split(nft_affinity.read(self._nft), self._affine_endpoints())[1]:
            self._nft.run(nft_affinity.forget(gone))
        self._generation = self._read_generation()

    def _affine_endpoints(self) -> dict[str, set[str]]:
        """The endpoints behind each address (``address . protocol . port``) of the Services with affinity."""
        found: dict[str, set[str]] = {}
        for service in self._affine:
            for (name, key), value in self._claims.wanted(service).items():
                if name.endswith("-endpoints"):
                    address, port, _ = key.split(" . ")
                    frontend = f"{address} . {name.removesuffix('-endpoints')} . {port}"
                    found.setdefault(frontend, set()).add(value)
        return found

    def _read_generation(self) -> int:
        found = attributes(self._netlink.get(_GET_GENERATION, _NFGENMSG).body[len(_NFGENMSG) :])
        return int(struct.unpack(">I", found[_GENERATION_ID])[0])
