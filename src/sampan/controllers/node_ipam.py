"""Every node gets a range of pod addresses of its own, ``spec.podCIDR``, cut from the cluster's.

The lowest free range is given, so that a small cluster has predictable addresses; a node that leaves frees its own.
Upstream: ``pkg/controller/nodeipam/ipam/range_allocator.go``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from sampan.api import meta
from sampan.api.errors import NotFound
from sampan.api.resources import NODES
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context

Object = dict[str, Any]


def plan(cluster_cidr: str, mask: int, taken: Iterable[str]) -> str | None:
    """The lowest range that overlaps none of ``taken``; None when all are given away."""
    network = ipaddress.ip_network(cluster_cidr)
    base, size = int(network.network_address), 2 ** (network.max_prefixlen - mask)
    used: set[int] = set()
    for text in taken:
        other = ipaddress.ip_network(text, strict=False)
        if other.version == network.version and other.overlaps(network):
            first = (int(other.network_address) - base) // size
            used.update(range(max(first, 0), (int(other.broadcast_address) - base) // size + 1))
    free = next((i for i in range(2 ** (mask - network.prefixlen)) if i not in used), None)
    if free is None:
        return None
    return f"{ipaddress.ip_address(base + free * size)}/{mask}"


def ranges_of(node: Object) -> list[str]:
    spec = node.get("spec") or {}
    return spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])


class NodeIpamController:
    name = "node-ipam-controller"
    workers = 1  # one after the other: two nodes must not be given the same range

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._nodes = context.informers.informer(NODES)
        self._given: dict[str, list[str]] = {}  # also what the cache doesn't show yet
        self._nodes.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._given.pop(meta.name(old or {}), None)
            for node in self._nodes.list():
                if not ranges_of(node):
                    self.queue.add(meta.name(node))  # there is room again
        elif ranges_of(new):
            self._given[meta.name(new)] = ranges_of(new)
        else:
            self.queue.add(meta.name(new))

    async def reconcile(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None or ranges_of(node) or meta.is_deleted(node):
            return None
        config = self._context.config
        chosen = plan(config.cluster_cidr, config.node_cidr_mask_size,
                      (cidr for given in self._given.values() for cidr in given))
        if chosen is None:
            self._context.events.event(node, "Normal", "CIDRNotAvailable",
                                       f"Node {key} status is now: CIDRNotAvailable")
            return None
        self._given[key] = [chosen]
        try:
            await self._context.client.patch(NODES, key, {"spec": {"podCIDR": chosen, "podCIDRs": [chosen]}})
        except NotFound:
            self._given.pop(key, None)
        except BaseException:
            self._given.pop(key, None)
            raise
        return None
