"""Listening: sockets on one side, ``ApiServer.handle`` on the other; a ``Connection`` for each client in between.

A client may show a certificate but need not; its verified subject is read once per connection.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/secure_serving.go``.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from sampan.apiserver.app import ApiServer
from sampan.apiserver.connection import Connection

KEEPALIVE_SECONDS = 120.0
SWEEP_SECONDS = 30.0
BACKLOG = 1024


@dataclass(slots=True)
class Serving:
    """A listening server. ``port`` is the real one when 0 was asked for."""

    port: int
    _connections: Connections
    _socket: asyncio.Server

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Stop listening, end idle connections at once and busy ones after ``grace_seconds``."""
        self._socket.close()
        await self._connections.close(grace_seconds)


async def start(app: ApiServer, host: str, port: int, ssl_context: ssl.SSLContext | None) -> Serving:
    """Listen on ``host:port``. Raises: OSError."""
    return await listen(app, [host], port, ssl_context)


async def listen(app: ApiServer, hosts: list[str], port: int, ssl_context: ssl.SSLContext | None) -> Serving:
    """Listen on one port of several addresses. Raises: OSError."""
    loop = asyncio.get_running_loop()
    connections = Connections(app, loop)
    listening = await loop.create_server(
        lambda: Connection(connections, loop), hosts, port, ssl=ssl_context, backlog=BACKLOG
    )
    return Serving(listening.sockets[0].getsockname()[1], connections, listening)


class Connections:
    """All that are open. Idle ones are swept by one timer for all, which runs only while there are any."""

    def __init__(self, app: ApiServer, loop: asyncio.AbstractEventLoop, keepalive: float = KEEPALIVE_SECONDS) -> None:
        self.app = app
        self.max_body_bytes = app.config.max_request_body_bytes
        self.compression_min_bytes = app.config.compression_min_bytes
        self._loop = loop
        self._keepalive = keepalive
        self._open: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        self._open.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(min(SWEEP_SECONDS, self._keepalive), self._sweep)

    def discard(self, connection: Connection) -> None:
        self._open.discard(connection)

    def _sweep(self) -> None:
        self._timer = None
        oldest = self._loop.time() - self._keepalive
        for connection in self._open:
            if connection.idle_since is not None and connection.idle_since <= oldest and connection.transport:
                connection.transport.close()
        if self._open:
            self._timer = self._loop.call_later(min(SWEEP_SECONDS, self._keepalive), self._sweep)

    async def close(self, grace_seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for connection in self._open:
            connection.ending = True
            if connection.idle_since is not None and connection.transport is not None:
                connection.transport.close()
        tasks = [connection.task for connection in self._open if connection.task is not None]
        if tasks:
            _, busy = await asyncio.wait(tasks, timeout=grace_seconds)
            for task in busy:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
