"""DNS by UDP and TCP on given addresses.

One socket for each address, because the reply must come from the address that was asked.

RFC 7766: TCP connections may carry many queries, and are closed after a while of silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Coroutine, Sequence
from typing import Any

from sampan.dns.answer import Responder, failure
from sampan.dns.message import Query

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
MAX_CONNECTIONS = 200


class DnsServer:
    """``start`` binds, ``close`` ends; the answers are the responder's."""

    def __init__(self, responder: Responder, addresses: Sequence[str], port: int = 53) -> None:
        self._responder = responder
        self._addresses = tuple(addresses)
        self._port = port
        self._udp: list[asyncio.DatagramTransport] = []
        self._tcp: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises: OSError, naming the address, when one cannot be bound; then none is."""
        loop = asyncio.get_running_loop()
        try:
            for address in self._addresses:
                place = (address, self._port)
                transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=place)
                self._udp.append(transport)
                self._tcp.append(await asyncio.start_server(self._connected, *place))
        except OSError as error:
            await self.close()
            raise OSError(error.errno, f"DNS cannot listen on {address}:{self._port}: {error.strerror}") from error

    async def close(self) -> None:
        for transport in self._udp:
            transport.close()
        for server in self._tcp:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._udp, self._tcp = [], []

    def datagram(self, transport: asyncio.DatagramTransport, data: bytes, client: Any) -> None:
        """One query by UDP: answered here and now where possible."""
        try:
            reply = self._responder.quick(data, udp=True)
        except Exception:
            log.exception("failed to answer client=%s", client[0])
            reply = failure(data)
        if isinstance(reply, Query):
            self._spawn(self._answer_later(transport, data, reply, client))
        elif reply is not None:
            transport.sendto(reply, client)

    async def _answer_later(self, transport: asyncio.DatagramTransport, data: bytes, query: Query, client: Any) -> None:
        transport.sendto(await self._slow(data, query, udp=True), client)

    async def _slow(self, data: bytes, query: Query, *, udp: bool) -> bytes:
        try:
            return await self._responder.slow(query, udp=udp)
        except Exception:
            log.exception("failed to answer a forwarded query")
            return failure(data)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) < MAX_CONNECTIONS:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                length = struct.unpack(">H", await reader.readexactly(2))[0]
                data = await reader.readexactly(length)
            reply = self._responder.quick(data, udp=False)
            if isinstance(reply, Query):
                reply = await self._slow(data, reply, udp=False)
            if reply is None:
                return
            writer.write(struct.pack(">H", len(reply)) + reply)
            await writer.drain()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.datagram(self._transport, data, addr)
