"""The pod network: who gives a pod its address.  The runtime calls it once for each sandbox."""

from __future__ import annotations

from typing import Protocol


class PodNetwork(Protocol):
    """Each pod one address, reachable from every pod and node without NAT. Calls are idempotent per sandbox."""

    async def attach(self, sandbox_id: str, netns: str) -> list[str]:
        """Join the network namespace at path ``netns`` to the node's pod network; returns its addresses.

        A second call for the same sandbox returns the same addresses. Raises: OSError when no address is left.
        """
        ...

    async def detach(self, sandbox_id: str) -> None:
        """Take the link away and free the address. A second call does nothing."""
        ...

    async def garbage_collect(self, live: set[str]) -> None:
        """Free everything that belongs to no sandbox in ``live``: what a crash left behind."""
        ...
