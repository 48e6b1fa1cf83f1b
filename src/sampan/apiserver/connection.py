"""One client's connection: aiohttp's parser reads, a task answers one request after the other, bytes go out at once.

aiohttp's own server costs as much per request as all of our handlers for a GET (a request object, a response object,
a writer object, a task's hop each), so only its parser is used; this is the rest of an HTTP/1.1 server.  Small answers
leave as one write, which is one TLS record and one system call; large ones and streams leave piece by piece, no faster
than the client reads.  A client that goes away cancels what is being done for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from sampan.api.errors import ApiError, BadRequest, RequestEntityTooLarge
from sampan.api.http import Request, Response, Subject, Upgrade
from sampan.apiserver import messages
from sampan.apiserver.compress import compress, worth_compressing
from sampan.apiserver.respond import error_response
from sampan.apiserver.upgrade import switch

if TYPE_CHECKING:
    from sampan.apiserver.serve import Connections

log = logging.getLogger(__name__)

READ_BUFFER_BYTES = 256 * 1024
#: A body is handed to TLS in pieces of this size: the cipher's buffer stays in the processor's cache.
PIECE_BYTES = 64 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_PIPELINED = 16
LINGER_SECONDS = 2.0


class Connection(BaseProtocol):
    """``idle_since`` is the loop's time when it began to wait for a request; None while one is being answered."""

    def __init__(self, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._parser = self._http = HttpRequestParser(
            self, loop, READ_BUFFER_BYTES, max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES
        )
        self._connections = connections
        self._requests: deque[tuple[RawRequestMessage | None, Any]] = deque()  # None: then comes why it is none
        self._waiter: asyncio.Future[None] | None = None
        self._broken = False
        self._held = False
        self._tail = b""  # what came behind a request that leaves HTTP
        self._raw_headers: messages.RawHeaders = ()
        self._headers: dict[str, str] = {}
        self.task: asyncio.Task[None] | None = None
        self.idle_since: float | None = loop.time()
        self.ending = False

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._peer = subject_of(transport.get_extra_info("peercert"))
        address = transport.get_extra_info("peername")
        self._remote = str(address[0]) if address else ""
        self._connections.add(self)
        self.task = self._loop.create_task(self._serve())

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        if self._upgraded:
            self._tail += data
            return
        try:
            found, self._upgraded, tail = self._http.feed_data(data)
        except HttpProcessingError as error:
            self._broken = True
            self._requests.append((None, error.message))
        else:
            self._tail += tail
            self._requests += found
        if not self._requests:
            return
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if len(self._requests) > MAX_PIPELINED:
            self._hold(True)

    def _hold(self, held: bool) -> None:
        """Who sends requests faster than they are answered waits."""
        self._held = held
        if self.transport is not None:
            with contextlib.suppress(RuntimeError):
                (self.transport.pause_reading if held else self.transport.resume_reading)()

    # one request after the other

    async def _serve(self) -> None:
        try:
            while await self._answer(*await self._next()) and not self.ending:
                pass
        except ConnectionError:
            log.debug("client went away remote=%s", self._remote)
        except Exception:
            log.exception("connection failed remote=%s", self._remote)
        finally:
            self._connections.discard(self)
            if self.transport is not None:
                self.transport.close()

    async def _next(self) -> tuple[RawRequestMessage | None, Any]:
        if not self._requests:
            self.idle_since = self._loop.time()
            self._waiter = self._loop.create_future()
            await self._waiter
            self._waiter = self.idle_since = None
        if self._held and len(self._requests) <= MAX_PIPELINED // 2:
            self._hold(False)
        return self._requests.popleft()

    async def _answer(self, message: RawRequestMessage | None, payload: Any) -> bool:
        """Whether the connection can take another request. Raises: ConnectionError."""
        if message is None:
            refusal = error_response(BadRequest(str(payload)))
            await self._send(refusal, refusal.body, close=True)
            return False
        try:
            request = await self._request(message, payload)
        except ApiError as error:
            response = error_response(error)
            await self._send(response, response.body, close=True)
            await _linger(payload)
            return False
        response = await self._connections.app.handle(request)
        if response.upgrade is not None:
            await self._switch(response, response.upgrade)
            return False
        if not isinstance(response.body, bytes):
            return await self._stream(message, response, response.body)
        body = await self._compressed(request, response, response.body)
        close = message.should_close
        await self._send(response, body, close=close, old_client=message.version < HttpVersion11,
                         without_body=message.method == "HEAD")
        return not close

    async def _request(self, message: RawRequestMessage, payload: StreamReader) -> Request:
        """Raises: RequestEntityTooLarge, BadRequest."""
        if message.raw_headers != self._raw_headers:  # a client says the same each time
            self._raw_headers, self._headers = message.raw_headers, messages.headers_of(message.raw_headers)
        headers = self._headers.copy()
        if "expect" in headers and headers["expect"].lower() == "100-continue" and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._body(headers, payload)
        return messages.request_of(message, headers, body, self._peer, self._remote)

    async def _body(self, headers: dict[str, str], payload: StreamReader) -> bytes:
        most = self._connections.max_body_bytes
        if int(headers.get("content-length") or 0) > most:
            raise _too_large(most)
        try:
            if payload.is_eof():
                body = payload.read_nowait()
                if len(body) > most:
                    raise _too_large(most)
                return body
            pieces, size = [], 0
            while piece := await payload.readany():
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                pieces.append(piece)
            return b"".join(pieces)
        except HttpProcessingError as error:
            raise BadRequest(f"the body could not be read: {error.message}") from error

    async def _compressed(self, request: Request, response: Response, body: bytes) -> bytes:
        if len(body) < self._connections.compression_min_bytes or "Content-Encoding" in response.headers:
            return body
        if not worth_compressing(request.headers):
            return body
        response.headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return await compress(body)

    # out

    async def _send(
        self, response: Response, body: Any, *, close: bool, old_client: bool = False, without_body: bool = False
    ) -> None:
        head = messages.head(response, len(body), close=close, old_client=old_client)
        if without_body:
            body = b""
        if len(body) <= PIECE_BYTES:
            await self._write(head + body)
            return
        await self._write(head)
        view = memoryview(body)
        for start in range(0, len(body), PIECE_BYTES):
            await self._write(view[start:start + PIECE_BYTES])

    async def _write(self, *data: bytes | memoryview) -> None:
        """Raises: ConnectionError."""
        if self.transport is None:
            raise ConnectionResetError("the client went away")
        if len(data) == 1:
            self.transport.write(data[0])
        else:
            self.transport.writelines(data)
        if self._paused:
            await self._drain_helper()

    async def _stream(self, message: RawRequestMessage, response: Response, body: AsyncIterator[bytes]) -> bool:
        old_client = message.version < HttpVersion11
        close = message.should_close or old_client
        try:
            await self._write(messages.head(response, None, close=close, old_client=old_client))
            if message.method != "HEAD":
                async for data in body:
                    if data:
                        await self._chunk(data, old_client)
                if not old_client:
                    await self._write(b"0\r\n\r\n")
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()
        return not close

    async def _chunk(self, data: bytes, old_client: bool) -> None:
        if len(data) <= PIECE_BYTES:
            await self._write(data if old_client else messages.chunk(data))
            return
        if not old_client:
            await self._write(b"%x\r\n" % len(data))
        view = memoryview(data)
        for start in range(0, len(data), PIECE_BYTES):
            await self._write(view[start:start + PIECE_BYTES])
        if not old_client:
            await self._write(b"\r\n")

    async def _switch(self, response: Response, serve_raw: Upgrade) -> None:
        transport, self.transport = self.transport, None
        if transport is not None:
            await switch(transport, response, serve_raw, self._tail, self._loop)


def subject_of(certificate: dict[str, Any] | None) -> Subject | None:
    """The subject of a verified client certificate, as ``ssl`` describes it."""
    if not certificate:
        return None
    pairs = [pair for part in certificate.get("subject", ()) for pair in part]
    names = [value for key, value in pairs if key == "commonName"]
    groups = tuple(value for key, value in pairs if key == "organizationName")
    return Subject(names[-1] if names else "", groups)


def _too_large(most: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {most}")


async def _linger(payload: StreamReader) -> None:
    """Read on for a moment: to close on a client that is still sending would take the answer away from it."""
    with contextlib.suppress(TimeoutError, HttpProcessingError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await payload.readany():
                pass
