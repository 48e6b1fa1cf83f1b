"""A small HTTP/1.1 server on asyncio streams, for the kubelet's port.

Its requests are few, and its upgrades (SPDY/3.1, WebSocket) want the plain byte streams that asyncio has anyway, so a
web framework would only cost memory.  TLS with a verified client certificate is asyncio's own.  RFC 9112.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote, urlsplit

from sampan.api.http import Handler, Request, Response, Subject

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 1024 * 1024
IDLE_SECONDS = 120.0


class BadRequestLine(Exception):
    """What came is not HTTP/1.1 as this server speaks it."""


class HttpServer:
    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Returns the port. Raises: OSError when it is taken."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=tls, limit=MAX_HEAD_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            log.debug("connection ended error=%s", error)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; returns whether another may follow on this connection."""
        async with asyncio.timeout(IDLE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
        try:
            request = parse_head(head)
            request.body = await _body(reader, request)
        except BadRequestLine as error:
            writer.write(_head(Response(400, {"connection": "close", "content-length": str(len(str(error)))})))
            writer.write(str(error).encode())
            await writer.drain()
            return False
        request.peer = _subject(writer)
        request.remote = (writer.get_extra_info("peername") or ("",))[0]
        response = await self._answer(request)
        if response.upgrade is not None:
            writer.write(_head(response))
            await writer.drain()
            await response.upgrade(reader, writer)
            return False
        await _send(writer, response)
        return request.headers.get("connection", "").lower() != "close"

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("request failed method=%s path=%s", request.method, request.path)
            return Response(500, {"content-type": "text/plain"}, b"Internal Server Error\n")


def parse_head(head: bytes) -> Request:
    """Raises: BadRequestLine."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestLine("malformed request line")
    parts = urlsplit(words[1])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if line:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise BadRequestLine("malformed header")
            key = name.strip().lower()
            headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    return Request(words[0], unquote(parts.path), parse_qsl(parts.query, keep_blank_values=True), headers)


async def _body(reader: asyncio.StreamReader, request: Request) -> bytes:
    if "transfer-encoding" in request.headers:
        raise BadRequestLine("transfer-encoding of requests is not supported")
    text = request.headers.get("content-length", "0")
    if not text.isdigit() or int(text) > MAX_BODY_BYTES:
        raise BadRequestLine("bad content-length")
    return await reader.readexactly(int(text)) if int(text) else b""


def _subject(writer: asyncio.StreamWriter) -> Subject | None:
    """CN and O of the client's certificate, which TLS has verified."""
    certificate = writer.get_extra_info("peercert")
    if not certificate:
        return None
    fields = [pair for group in certificate.get("subject", ()) for pair in group]
    name = next((value for key, value in fields if key == "commonName"), "")
    return Subject(name, tuple(value for key, value in fields if key == "organizationName"))


def _head(response: Response) -> bytes:
    phrase = HTTPStatus(response.status).phrase
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{k}: {v}" for k, v in response.headers.items())]
    return ("\r\n".join([*lines, "", ""])).encode("latin-1")


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    body = response.body
    if isinstance(body, bytes):
        response.headers["content-length"] = str(len(body))
        writer.write(_head(response) + body)
        await writer.drain()
        return
    response.headers["transfer-encoding"] = "chunked"
    writer.write(_head(response))
    async for chunk in body:
        if chunk:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
