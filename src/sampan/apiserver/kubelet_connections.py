"""A TLS connection to a kubelet kept ready for the next exec, log or port-forward.

Each such request uses a connection up: after an upgrade it belongs to the client.  So none can be kept alive; but
whoever has asked a kubelet once is likely to ask it again, and then the handshake (8 ms, as much as everything else
the API server does for an exec) has already happened.  One spare per kubelet, for a minute.

Upstream has a pool of HTTP/2 connections for logs, and dials anew for each upgrade.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

SPARE_SECONDS = 60.0
#: Not while the request is served that gave the occasion: both need the same processors.
PAUSE_SECONDS = 0.1
MAX_HEAD_BYTES = 64 * 1024

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class KubeletAddress:
    host: str
    port: int


async def dial(address: KubeletAddress, tls: ssl.SSLContext) -> Connection:
    """Raises: OSError."""
    return await asyncio.open_connection(
        address.host, address.port, ssl=tls, server_hostname=address.host, limit=MAX_HEAD_BYTES
    )


class Spares:
    """``take`` gives the spare connection to a kubelet, if there is one, and has another one made."""

    def __init__(self, spare_seconds: float = SPARE_SECONDS, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._spare_seconds = spare_seconds
        self._pause_seconds = pause_seconds
        self._ready: dict[KubeletAddress, Connection] = {}
        self._tasks: dict[KubeletAddress, asyncio.Task[None]] = {}

    def take(self, address: KubeletAddress, tls: ssl.SSLContext) -> Connection | None:
        """A connection that nobody has used; None if there is none, or the kubelet has closed it."""
        found = self._ready.pop(address, None)
        if task := self._tasks.pop(address, None):
            task.cancel()
        self._tasks[address] = asyncio.get_running_loop().create_task(self._keep(address, tls))
        if found is None or not (found[0].at_eof() or found[1].is_closing()):
            return found
        found[1].close()
        return None

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in self._ready.values():
            writer.close()
        self._tasks.clear()
        self._ready.clear()

    async def _keep(self, address: KubeletAddress, tls: ssl.SSLContext) -> None:
        """Make a spare, and let it go again when nobody wants it."""
        await asyncio.sleep(self._pause_seconds)
        try:
            connection = await asyncio.wait_for(dial(address, tls), self._spare_seconds)
        except (OSError, TimeoutError):
            return  # whoever needs the kubelet will be told
        self._ready[address] = connection
        await asyncio.sleep(self._spare_seconds)
        if self._ready.get(address) is connection:
            del self._ready[address]
            connection[1].close()
