"""How a request reaches the API server: by a function call in the same process, or over HTTPS.

Both transports take the same arguments and answer with the same ``Reply``, so nothing above can tell them apart; the
in-process one goes through the same authentication, authorization and admission, only without TLS and socket.
``Https`` lives in ``https.py`` and is imported on first use: aiohttp's client takes 0.1 s to load.

Upstream: ``staging/src/k8s.io/client-go/transport``, ``rest/transport.go``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from sampan.api.errors import ServiceUnavailable
from sampan.api.http import Events, Handler, Request, Subject

if TYPE_CHECKING:
    from sampan.client.https import Https as Https

Query = Sequence[tuple[str, str]]


class Unreachable(ServiceUnavailable):
    """The server gave no answer: refused, reset, timed out, or the transport is closed."""


class Reply(Protocol):
    """What came back. Either ``read()`` the whole body or iterate over it; ``close()`` in the end (twice is fine)."""

    status: int
    headers: Mapping[str, str]  # lower-case keys
    events: AsyncIterator[Events] | None  # instead of the body of a watch, where the server is in this process

    async def read(self) -> bytes: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def close(self) -> None: ...


class Transport(Protocol):
    async def request(
        self, method: str, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None,
        body: bytes = b"", stream: bool = False,
    ) -> Reply:
        """Send one request. ``path`` is not percent-encoded. With ``stream`` the body may take for ever to end.

        Raises: Unreachable.
        """
        ...

    async def close(self) -> None: ...


class InProcess:
    """Calls the API server's handler directly, as the holder of ``subject``'s client certificate."""

    def __init__(self, handler: Handler, subject: Subject) -> None:
        self._handler = handler
        self._subject = subject
        self._closed = False

    async def request(
        self, method: str, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None,
        body: bytes = b"", stream: bool = False,
    ) -> Reply:
        if self._closed:
            raise Unreachable("the transport is closed")
        sent = {} if headers is None else {name.lower(): value for name, value in headers.items()}
        request = Request(method, path, list(query), sent, body, self._subject, "127.0.0.1")
        response = await self._handler(request)
        received = {name.lower(): value for name, value in response.headers.items()}
        return _LocalReply(response.status, received, response.body, response.events)

    async def close(self) -> None:
        self._closed = True


class _LocalReply:
    __slots__ = ("_body", "events", "headers", "status")

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes | AsyncIterator[bytes],
        events: AsyncIterator[Events] | None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.events = events
        self._body = body

    async def read(self) -> bytes:
        if isinstance(self._body, bytes):
            return self._body
        return b"".join([chunk async for chunk in self._body])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _once(self._body) if isinstance(self._body, bytes) else self._body

    async def close(self) -> None:
        # An async generator behind a watch holds a place in the store's hub until it is closed.
        for stream in (self._body, self.events):
            aclose = getattr(stream, "aclose", None)
            if aclose is not None:
                await aclose()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


def __getattr__(name: str) -> Any:
    if name == "Https":
        from sampan.client.https import Https

        return Https
    raise AttributeError(name)
