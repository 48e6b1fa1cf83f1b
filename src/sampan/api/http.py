"""HTTP messages as plain values, so that the API server's handler chain runs the same over TLS and in-process.

The API server is one coroutine function ``handle(Request) -> Response``.  A thin adapter turns sockets into these
values; the in-process transport of the controllers calls the function directly, and passes through exactly the same
authentication, authorization and admission.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Subject:
    """The verified subject of a client certificate: CN is the user's name, O are the groups."""

    common_name: str
    organizations: tuple[str, ...] = ()


@dataclass(slots=True)
class Request:
    """One HTTP request. ``headers`` has lower-case keys; ``query`` keeps order and repeats (``command=a`` twice)."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: Subject | None = None
    remote: str = ""

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter, or ``default``."""
        for key, value in self.query:
            if key == name:
                return value
        return default


#: Serves the raw connection after a ``101``: bytes that the client sends come from the reader, ours go to the writer.
Upgrade = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


#: Some events of a watch: ``("ADDED", object)``.
Events = list[tuple[str, dict[str, Any]]]


@dataclass(slots=True)
class Response:
    """One HTTP response. ``body`` is all bytes or a stream of chunks (watch, logs); ``upgrade`` goes with 101.

    ``events`` is the body of a watch once more, as values, for a caller in the same process: he takes one of the two.
    Their objects are shared with everybody else who watches: nobody may change them.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    upgrade: Upgrade | None = None
    events: AsyncIterator[Events] | None = None


Handler = Callable[[Request], Awaitable[Response]]
