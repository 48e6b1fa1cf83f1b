"""On the way to the kubelet: one HTTP/1.1 request over TLS, and after a 101 nothing but bytes.

exec, attach and port-forward are upgrades to SPDY/3.1 or WebSocket.  The API server need not understand either: it
repeats the client's handshake to the kubelet, hands the kubelet's answer back and then carries bytes both ways.  A
kubelet's refusal becomes a ``Status``.  The connection is our own, not an HTTP client's, because clients keep the raw
stream to themselves.

Upstream: ``staging/src/k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from sampan.api.errors import ApiError, BadRequest, InternalError, ServiceUnavailable
from sampan.api.http import Response
from sampan.apiserver.kubelet_connections import Connection, KubeletAddress, Spares, dial

CHUNK_BYTES = 64 * 1024
MAX_ERROR_BYTES = 50 * 1024

#: Headers that end at each hop; an upgrade sets its own.
_HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "proxy-authorization", "te", "trailer", "transfer-encoding",
               "host", "content-length", "authorization", "accept-encoding"}
_UPGRADE = ("connection", "upgrade")


@dataclass(slots=True)
class Reply:
    """The kubelet's answer: its head, and the connection it came on."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def body(self) -> AsyncIterator[bytes]:
        """The body in pieces, as they arrive; closes the connection in the end."""
        try:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                async for piece in _chunked(self.reader):
                    yield piece
                return
            left = int(self.headers.get("content-length", -1))
            while left:
                piece = await self.reader.read(CHUNK_BYTES if left < 0 else min(left, CHUNK_BYTES))
                if not piece:
                    return
                left -= len(piece) if left > 0 else 0
                yield piece
        finally:
            self.writer.close()


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        size = int((await reader.readline()).split(b";")[0].strip() or b"0", 16)
        if size == 0:
            return
        yield await reader.readexactly(size)
        await reader.readexactly(2)


async def send(
    address: KubeletAddress, tls: ssl.SSLContext | None, method: str, path: str, *,
    query: Sequence[tuple[str, str]] = (), headers: Mapping[str, str] | None = None, body: bytes = b"",
    timeout_seconds: float = 10.0, spares: Spares | None = None,
) -> Reply:
    """One request; returns when the head of the answer is there. Raises: ServiceUnavailable, InternalError."""
    if tls is None:
        raise ServiceUnavailable("this server was started without a client certificate for kubelets")
    where = f"{address.host}:{address.port}"
    request = _request_head(method, path, query, headers or {}, where, len(body)) + body
    if spares is not None and (spare := spares.take(address, tls)) is not None:
        with contextlib.suppress(_NeverArrived):
            return await _ask(spare, request, where)
    try:
        async with asyncio.timeout(timeout_seconds):
            connection = await dial(address, tls)
    except (OSError, TimeoutError) as error:
        raise InternalError(f"error dialing backend: dial tcp {where}: {error or 'i/o timeout'}") from error
    try:
        return await _ask(connection, request, where)
    except _NeverArrived as error:
        raise InternalError(f"error proxying to kubelet at {where}: {error}") from error


class _NeverArrived(Exception):
    """The connection ended without a byte of an answer, as one does that the kubelet has given up meanwhile."""


async def _ask(connection: Connection, request: bytes, where: str) -> Reply:
    """Raises: InternalError, _NeverArrived."""
    reader, writer = connection
    try:
        writer.write(request)
        await writer.drain()
        return await _read_head(reader, writer)
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        writer.close()
        if isinstance(error, ConnectionError) or (isinstance(error, asyncio.IncompleteReadError) and not error.partial):
            raise _NeverArrived(str(error)) from error
        raise InternalError(f"error proxying to kubelet at {where}: {error}") from error
    except BaseException:
        writer.close()
        raise


def _request_head(
    method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], host: str, length: int
) -> bytes:
    target = quote(path, safe="/:@!$&'()*+,;=~") + (f"?{urlencode(query)}" if query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    for name, value in headers.items():
        # one line per stream protocol: that is how clients offer them and kubelets of all ages read them
        values = value.split(",") if name == "x-stream-protocol-version" else [value]
        lines += [f"{name}: {part.strip()}" for part in values]
    if "connection" not in headers:
        lines.append("Connection: close")
    if length or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Reply(int(first.split(" ", 2)[1]), headers, reader, writer)


def forwarded(headers: Mapping[str, str], *, upgrade: bool) -> dict[str, str]:
    """The client's headers that go on to the kubelet; never his credentials."""
    return {
        name: value for name, value in headers.items()
        if (name not in _HOP_BY_HOP or (upgrade and name in _UPGRADE)) and not name.startswith("impersonate-")
    }


def wants_upgrade(headers: Mapping[str, str]) -> bool:
    return "upgrade" in headers.get("connection", "").lower() and bool(headers.get("upgrade"))


def switched(reply: Reply) -> Response:
    """The 101 for the client, and the tunnel behind it."""

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join(reader, writer, reply.reader, reply.writer)

    return Response(101, reply.headers, upgrade=tunnel)


async def join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes both ways until either side ends; TLS has no half-open connections, so then both are closed."""
    pumps = {asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))}
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in (writer, far_writer):
            end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


async def refusal(reply: Reply) -> ApiError:
    """The ``Status`` for a kubelet's error; it answers with plain text."""
    text = b""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
        async for piece in reply.body():
            text += piece
            if len(text) >= MAX_ERROR_BYTES:
                break
    message = text[:MAX_ERROR_BYTES].decode("utf-8", "replace").strip()
    if reply.status == 400:
        return BadRequest(message)
    if reply.status == 500:
        return InternalError(message)
    return ApiError.from_status({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": reply.status,
        "message": message or f"the kubelet answered with status code {reply.status}",
        "reason": {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed"}.get(
            reply.status, "Unknown"),
    })
