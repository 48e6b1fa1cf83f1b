"""The HTTPS transport: a keep-alive pool of TLS connections, certificate or token credentials, streamed bodies.

A watch can be silent for minutes, so it has no read timeout; a peer that vanished (cut link, power loss) is found out
by TCP keep-alive instead, within about half a minute.  Tokens of ServiceAccounts are rotated on disk by the kubelet:
the file is read again every minute and after a 401.

Upstream: ``client-go/transport/{cache,token_source}.go``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from sampan.api.http import Events
from sampan.client.transport import Query, Reply, Unreachable

#: PEM text as bytes, or the path of a file that holds it.
Pem = bytes | str | os.PathLike[str]

TOKEN_FILE_REREAD_SECONDS = 60.0
CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 60.0
MAX_CHUNK_BYTES = 1 << 20
#: A burst of requests takes turns on this many connections: each one more costs a handshake and hurries nothing.
#: Streams are not counted, since each holds its own for as long as it likes.
MAX_CONNECTIONS = 16

_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Https:
    """``server_url`` is ``https://host:port`` (a path prefix is kept); ``http://`` works without the TLS options."""

    def __init__(
        self,
        server_url: str,
        *,
        ca: Pem | None = None,
        cert: Pem | None = None,
        key: Pem | None = None,
        token: str = "",
        token_file: str | os.PathLike[str] = "",
        server_name: str = "",
        insecure_skip_tls_verify: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base = server_url.rstrip("/")
        self._tls = _tls_context(ca, cert, key, insecure_skip_tls_verify) if self._base.startswith("https:") else None
        self._server_name = server_name or None
        self._token = _Token(token, token_file)
        self._headers = dict(headers or {})
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # for streams, and for all else
        self._closed = False

    async def request(
        self, method: str, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None,
        body: bytes = b"", stream: bool = False,
    ) -> Reply:
        response = await self._send(method, path, query, headers, body, stream)
        if response.status == 401 and self._token.reread():
            response.close()
            response = await self._send(method, path, query, headers, body, stream)
        if stream:
            _keep_alive(response)
        return _HttpsReply(response)

    async def _send(
        self, method: str, path: str, query: Query, headers: Mapping[str, str] | None, body: bytes, stream: bool
    ) -> aiohttp.ClientResponse:
        url = self._base + quote(path, safe="/:@!$&'()*+,;=~")
        if query:
            url += "?" + urlencode(query)
        sent = self._headers | self._token.header() | dict(headers or {})
        timeout = _STREAM_TIMEOUT if stream else _TIMEOUT
        try:
            return await self._open_session(stream).request(
                method, URL(url, encoded=True), headers=sent, data=body or None, timeout=timeout, ssl=self._tls or True,
                server_hostname=self._server_name, allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{method} {self._base}{path}: {_reason(error)}") from error

    def _open_session(self, stream: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise Unreachable(f"the connection to {self._base} is closed")
        session = self._sessions.get(stream)
        if session is None:
            limit = 0 if stream else MAX_CONNECTIONS
            connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=90, ttl_dns_cache=30)
            # No compression: on one machine it costs more CPU than it saves.
            session = self._sessions[stream] = aiohttp.ClientSession(
                connector=connector, headers={"Accept-Encoding": "identity"}, cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=MAX_CHUNK_BYTES, trust_env=False, auto_decompress=True,
            )
        return session

    async def close(self) -> None:
        self._closed = True
        for session in self._sessions.values():
            await session.close()
        await asyncio.sleep(0)  # lets the close callbacks run, so that no socket is left to the collector


_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS)
_STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=None)


class _HttpsReply:
    __slots__ = ("_response", "events", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.events: AsyncIterator[Events] | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{self._response.method} {self._response.url}: {_reason(error)}") from error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{self._response.method} {self._response.url}: {_reason(error)}") from error

    async def close(self) -> None:
        # Once the body has been read to its end the connection is back in the pool, and this does nothing.
        self._response.close()


class _Token:
    def __init__(self, token: str, path: str | os.PathLike[str]) -> None:
        self._token = token
        self._path = Path(path) if path else None
        self._read_at = float("-inf")

    def header(self) -> dict[str, str]:
        if self._path is not None and time.monotonic() - self._read_at > TOKEN_FILE_REREAD_SECONDS:
            self.reread()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def reread(self) -> bool:
        """Read the file again; whether another token was there."""
        if self._path is None:
            return False
        before = self._token
        self._read_at = time.monotonic()
        try:
            self._token = self._path.read_text().strip()
        except OSError as error:
            if not before:
                raise Unreachable(f"cannot read the token file {self._path}: {error.strerror}") from error
        return self._token != before


def _tls_context(ca: Pem | None, cert: Pem | None, key: Pem | None, insecure: bool) -> ssl.SSLContext:
    """TLS 1.2 or newer; without ``ca`` the system's roots are trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is not None:
        context.load_verify_locations(cadata=(ca if isinstance(ca, bytes) else Path(ca).read_bytes()).decode("ascii"))
    else:
        context.load_default_certs()
    if cert is not None:
        _load_cert(context, cert, key)
    return context


def _load_cert(context: ssl.SSLContext, cert: Pem, key: Pem | None) -> None:
    pem = b"".join(p if isinstance(p, bytes) else Path(p).read_bytes() for p in (cert, b"\n", key) if p is not None)
    # OpenSSL by way of Python reads client certificates from files only; mkstemp makes this one 0600.
    handle, path = tempfile.mkstemp(prefix="sampan-client-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        context.load_cert_chain(path)
    finally:
        os.unlink(path)


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    connection = response.connection
    if connection is None or connection.transport is None:
        return
    raw = connection.transport.get_extra_info("socket")
    if raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6):
        for level, option, value in _KEEPALIVE:
            raw.setsockopt(level, option, value)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
