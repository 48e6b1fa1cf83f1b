"""HTTP/1.1 messages: what aiohttp's parser read becomes a ``Request``, a ``Response`` becomes the bytes of its head.

Every request passes here, so what repeats is remembered: a client's headers are nearly the same each time, and so is
what an answer begins with.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from aiohttp.http_parser import RawRequestMessage

from sampan.api.errors import BadRequest
from sampan.api.http import Request, Response, Subject

RawHeaders = tuple[tuple[bytes, bytes], ...]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = (204, 304)
_JOINED_BY_NEWLINE = "impersonate-"


def request_of(
    message: RawRequestMessage, headers: dict[str, str], body: bytes, peer: Subject | None, remote: str
) -> Request:
    """Raises: BadRequest."""
    path, _, query = message.path.partition("?")
    if path[:1] != "/":
        raise BadRequest("the request target must be a path")
    return Request(
        message.method, unquote(path) if "%" in path else path,
        parse_qsl(query, keep_blank_values=True) if query else [], headers, body, peer, remote,
    )


def headers_of(raw: RawHeaders) -> dict[str, str]:
    """Lower-case names. Repeats are joined by a comma; impersonation's by a newline (group names may hold commas)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "surrogateescape")
        if name in headers:
            value = headers[name] + ("\n" if name.startswith(_JOINED_BY_NEWLINE) else ",") + value
        headers[name] = value
    return headers


def head(response: Response, length: int | None, *, close: bool, old_client: bool = False) -> bytes:
    """Status line and headers. ``length`` None is a body in chunks; clients older than HTTP/1.1 read it to the end."""
    start = _start(response.status, tuple(response.headers.items()))
    if length is None:
        framing = b"" if old_client else b"Transfer-Encoding: chunked\r\n"
    else:
        framing = b"" if response.status in _BODILESS else b"Content-Length: %d\r\n" % length
    connection = b"Connection: close\r\n" if close else b"Connection: keep-alive\r\n" if old_client else b""
    return b"%b%b%bDate: %b\r\n\r\n" % (start, framing, connection, _date(int(time.time())))


def switching_head(response: Response) -> bytes:
    """The head of a 101: after it the bytes are another protocol's."""
    return _start(101, tuple(response.headers.items())) + b"\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@lru_cache(maxsize=256)
def _start(status: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}", *(f"{name}: {value}" for name, value in headers)]
    for line in lines:
        if "\r" in line or "\n" in line:
            raise ValueError(f"a header must not hold a line break: {line!r}")
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
