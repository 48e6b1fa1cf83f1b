"""The gRPC health check (``grpc.health.v1.Health/Check``) in the least HTTP/2 that does it.

One request on stream 1 needs five frames.  The answer's headers are compressed with a state that is of no interest: a
healthy server sends a DATA frame that holds the bytes ``08 01`` (status = SERVING), everything else is a failure.  So
neither a gRPC library (20 MB of memory) nor an HPACK decoder is needed.

RFC 9113, RFC 7541; https://github.com/grpc/grpc/blob/master/doc/health-checking.md.  Upstream: ``pkg/probe/grpc``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
MAX_FRAME_BYTES = 1 << 20


async def probe(host: str, port: int, service: str, timeout_seconds: float) -> tuple[bool, str]:
    """``(healthy, output)``."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    seconds = f"{timeout_seconds:g}s"
    try:
        async with asyncio.timeout(timeout_seconds):
            status = await _check(host, port, shown, service)
    except TimeoutError:
        return False, f'timeout: failed to connect service "{shown}" within {seconds}: context deadline exceeded'
    except (OSError, EOFError) as error:
        return False, f'error: failed to connect service "{shown}": {error or "EOF"}'
    if status is None:
        return False, "error: health rpc failed: the server does not serve grpc.health.v1.Health for this service"
    name = STATUSES.get(status, str(status))
    if name == "SERVING":
        return True, f"service healthy, status: {name}"
    return False, f'service unhealthy (responded with "{name}")'


async def _check(host: str, port: int, authority: str, service: str) -> int | None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(PREFACE + frame(SETTINGS, 0, 0, b"") + request(authority, service))
        async for kind, flags, payload in _frames(reader):
            if kind == SETTINGS and not flags & ACK:
                writer.write(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                writer.write(frame(PING, ACK, 0, payload))
            elif kind == DATA and payload:
                return status_of(payload)
            elif kind in (RST_STREAM, GOAWAY) or (kind == HEADERS and flags & END_STREAM):
                return None
        raise EOFError
    finally:
        writer.transport.abort()


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, bytes]]:
    """``(type, flags, payload)`` until the connection ends."""
    while True:
        try:
            head = await reader.readexactly(9)
            length = int.from_bytes(head[:3], "big")
            if length > MAX_FRAME_BYTES:
                raise EOFError("not an HTTP/2 server")
            yield head[3], head[4], await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise EOFError("EOF") from error


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def request(authority: str, service: str) -> bytes:
    """HEADERS and DATA of the call, on stream 1."""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("user-agent", "kube-probe/1.37"),
        ("te", "trailers"),
    )
    headers = b"".join(_literal(name) + _literal(value, b"") for name, value in fields)
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, body)


def _literal(text: str, prefix: bytes = b"\x00") -> bytes:
    """A header string without Huffman coding; the prefix says: literal field without indexing, new name."""
    raw = text.encode()
    if len(raw) < 127:
        return prefix + bytes((len(raw),)) + raw
    return prefix + b"\x7f" + _varint(len(raw) - 127) + raw


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def status_of(data: bytes) -> int:
    """The HealthCheckResponse in a length-prefixed message; a missing field is 0, UNKNOWN."""
    message = data[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
