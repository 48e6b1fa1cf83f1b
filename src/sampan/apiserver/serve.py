"""Sockets to values: aiohttp's low-level server on one side, ``ApiServer.handle`` on the other.

A client may show a certificate but need not; its verified subject is read once per connection.  Streams (watch, logs)
leave chunk by chunk.  After a 101 the connection is no longer HTTP: aiohttp's parser knows no SPDY, so its protocol
object is taken off the transport and a plain stream protocol is put in its place.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/secure_serving.go``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from sampan.api.errors import ApiError, BadRequest, RequestEntityTooLarge
from sampan.api.http import Request, Response, Subject, Upgrade
from sampan.apiserver.app import ApiServer
from sampan.apiserver.compress import compress, worth_compressing
from sampan.apiserver.respond import error_response

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 120.0
READ_BUFFER_BYTES = 256 * 1024
UPGRADE_BUFFER_BYTES = 256 * 1024
_JOINED_BY_NEWLINE = "impersonate-"


@dataclass(slots=True)
class Serving:
    """A listening server. ``port`` is the real one when 0 was asked for."""

    port: int
    _web: web.Server
    _socket: asyncio.Server

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Stop listening, end idle connections at once and busy ones after ``grace_seconds``."""
        self._socket.close()
        self._web.pre_shutdown()
        await self._web.shutdown(grace_seconds)


async def start(app: ApiServer, host: str, port: int, ssl_context: ssl.SSLContext | None) -> Serving:
    """Listen on ``host:port``. Raises: OSError."""
    return await listen(app, [host], port, ssl_context)


async def listen(app: ApiServer, hosts: list[str], port: int, ssl_context: ssl.SSLContext | None) -> Serving:
    """Listen on one port of several addresses. Raises: OSError."""
    adapter = Adapter(app)
    server = _Server(
        adapter.handle, handler_cancellation=True, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS,
        read_bufsize=READ_BUFFER_BYTES, tcp_keepalive=True, max_line_size=64 * 1024, max_field_size=64 * 1024,
    )
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server, hosts, port, ssl=ssl_context, backlog=1024)
    return Serving(listening.sockets[0].getsockname()[1], server, listening)


class _Connection(RequestHandler):
    """One connection; remembers who is at the other end."""

    __slots__ = ("peer", "remote")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.peer = subject_of(transport.get_extra_info("peercert"))
        address = transport.get_extra_info("peername")
        self.remote = str(address[0]) if address else ""


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


def subject_of(certificate: dict[str, Any] | None) -> Subject | None:
    """The subject of a verified client certificate, as ``ssl`` describes it."""
    if not certificate:
        return None
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return Subject(names[-1] if names else "", groups)


class Adapter:
    """Turns requests and responses; one for all connections."""

    def __init__(self, app: ApiServer) -> None:
        self._app = app
        self._max_body = app.config.max_request_body_bytes

    async def handle(self, incoming: web.BaseRequest) -> web.StreamResponse:
        try:
            request = await self.request_of(incoming)
        except ApiError as error:
            response = error_response(error)
            return web.Response(status=response.status, headers=response.headers, body=response.body)
        response = await self._app.handle(request)
        if response.upgrade is not None:
            return await upgrade(incoming, response, response.upgrade)
        body = response.body
        if not isinstance(body, bytes):
            return await self._stream(incoming, request, response, body)
        large = len(body) >= self._app.config.compression_min_bytes and "Content-Encoding" not in response.headers
        if large and worth_compressing(request.headers):
            body = await compress(body)
            response.headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return web.Response(status=response.status, headers=response.headers, body=body)

    async def request_of(self, incoming: web.BaseRequest) -> Request:
        """Raises: RequestEntityTooLarge, BadRequest."""
        message = incoming._message
        path, _, query = message.path.partition("?")
        if path[:1] != "/":
            raise BadRequest("the request target must be a path")
        headers = headers_of(message.raw_headers)
        body = await self._body(incoming, headers) if incoming.body_exists else b""
        connection: Any = incoming.protocol
        return Request(
            message.method, unquote(path) if "%" in path else path,
            parse_qsl(query, keep_blank_values=True) if query else [], headers, body, connection.peer,
            connection.remote,
        )

    async def _body(self, incoming: web.BaseRequest, headers: dict[str, str]) -> bytes:
        if int(headers.get("content-length") or 0) > self._max_body:
            raise self._too_large()
        pieces, size = [], 0
        async for piece in incoming._payload.iter_any():
            size += len(piece)
            if size > self._max_body:
                raise self._too_large()
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self) -> RequestEntityTooLarge:
        return RequestEntityTooLarge(f"Request entity too large: limit is {self._max_body}")

    async def _stream(
        self, incoming: web.BaseRequest, request: Request, response: Response, body: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        outgoing = web.StreamResponse(status=response.status, headers=response.headers)
        try:
            await outgoing.prepare(incoming)
            if request.method != "HEAD":
                async for chunk in body:
                    await outgoing.write(chunk)
            await outgoing.write_eof()
        except ConnectionError:
            log.debug("client went away path=%s", request.path)
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
        return outgoing


async def upgrade(incoming: web.BaseRequest, response: Response, serve_raw: Upgrade) -> web.StreamResponse:
    """Answer 101 and hand the connection over, until it is done with."""
    http, transport = incoming.protocol, incoming.transport
    if transport is None:
        return _Upgraded()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=UPGRADE_BUFFER_BYTES, loop=loop)
    raw = _Raw(reader, loop=loop)
    transport.set_protocol(raw)
    raw.connection_made(transport)
    writer = asyncio.StreamWriter(transport, raw, reader, loop)
    with contextlib.suppress(RuntimeError):  # aiohttp may have paused it; resuming twice is an error for some loops
        transport.resume_reading()
    writer.write(head_of(response))
    try:
        await serve_raw(reader, writer)
    finally:
        transport.set_protocol(http)
        if raw.lost:
            http.connection_lost(None)  # it went while the other protocol was in charge
        else:
            transport.close()
    return _Upgraded()


def head_of(response: Response) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in response.headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Raw(asyncio.StreamReaderProtocol):
    """The protocol of a connection that is no longer HTTP; remembers whether it has ended."""

    lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        super().connection_lost(exc)


class _Upgraded(web.StreamResponse):
    """Tells aiohttp that the answer has been given already."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def headers_of(raw: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    """Lower-case names. Repeats are joined by a comma; impersonation's by a newline (group names may hold commas)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "surrogateescape")
        if name in headers:
            value = headers[name] + ("\n" if name.startswith(_JOINED_BY_NEWLINE) else ",") + value
        headers[name] = value
    return headers
