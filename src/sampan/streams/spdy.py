"""SPDY/3.1 framing, sans-I/O: bytes in give events, method calls give bytes out.

kubectl and the kubelet speak the subset that multiplexes streams: SYN_STREAM opens a stream with headers, SYN_REPLY
accepts it, DATA frames carry bytes, FIN half-closes, RST_STREAM aborts, PING and GOAWAY keep house.  As in upstream's
library there is no flow control by WINDOW_UPDATE: the TCP connection alone pushes back.

Frames (big-endian):
    control  1 | version 15 = 3 | type 16 | flags 8 | length 24 | payload
    data     0 | stream 31      | flags 8 | length 24 | payload

Header blocks of one direction share one zlib stream that starts from SPDY/3's dictionary, so frames must be encoded in
the order in which they are sent.

Specification: SPDY draft 3.1, sections 2.2 and 2.6. Upstream: github.com/moby/spdystream.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
MAX_FRAME_BYTES = 1 << 24
MAX_HEADER_BLOCK_BYTES = 64 * 1024
PROTOCOL_ERROR, CANCEL = 1, 5

_WORDS: list[str] = str.split(
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _length_prefixed(word: str) -> bytes:
    raw = word.replace("_", " ").encode()
    return struct.pack(">I", len(raw)) + raw


#: The zlib dictionary of SPDY/3: common header words, each with its length, then common values.
DICTIONARY = b"".join(map(_length_prefixed, _WORDS)) + _TAIL.encode()


class SpdyError(Exception):
    """The peer broke the protocol; the connection is of no further use."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    stream_id: int
    headers: dict[str, str]
    finished: bool = False


@dataclass(frozen=True, slots=True)
class StreamAccepted:
    stream_id: int
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class DataReceived:
    stream_id: int
    data: bytes
    finished: bool = False


@dataclass(frozen=True, slots=True)
class StreamReset:
    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class PingReceived:
    """``answer`` is to be sent back; it is empty for the answer to a ping of ours."""

    ping_id: int
    answer: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class GoAway:
    last_stream_id: int
    status: int


Event = StreamOpened | StreamAccepted | DataReceived | StreamReset | PingReceived | GoAway


class SpdyConnection:
    """One end of a connection. The server's stream ids are even, the client's odd."""

    def __init__(self, *, server: bool) -> None:
        self._server = server
        self._next_id = 2 if server else 1
        self._buffer = bytearray()
        self._compress = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zdict=DICTIONARY)
        self._decompress = zlib.decompressobj(zdict=DICTIONARY)

    # -- bytes in ---------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """Feed what arrived; returns the events that it completes, in order. Raises: SpdyError."""
        self._buffer += data
        events: list[Event] = []
        position = 0
        while len(self._buffer) - position >= 8:
            first, second = struct.unpack_from(">II", self._buffer, position)
            end = position + 8 + (second & 0xFFFFFF)
            if len(self._buffer) < end:
                break
            payload = bytes(memoryview(self._buffer)[position + 8 : end])
            position = end
            event = self._frame(first, second >> 24, payload)
            if event is not None:
                events.append(event)
        del self._buffer[:position]
        return events

    def _frame(self, first: int, flags: int, payload: bytes) -> Event | None:
        if not first >> 31:
            return DataReceived(first, payload, bool(flags & FIN))
        if (first >> 16) & 0x7FFF != 3:
            raise SpdyError(f"SPDY version {(first >> 16) & 0x7FFF} is not spoken here, only 3")
        try:
            return self._control(first & 0xFFFF, flags, payload)
        except struct.error as error:
            raise SpdyError(f"SPDY frame of type {first & 0xFFFF} is too short") from error

    def _control(self, kind: int, flags: int, payload: bytes) -> Event | None:
        if kind == SYN_STREAM:
            (stream_id,) = struct.unpack_from(">I", payload)
            return StreamOpened(stream_id & 0x7FFFFFFF, self._decode_headers(payload[10:]), bool(flags & FIN))
        if kind == SYN_REPLY:
            (stream_id,) = struct.unpack_from(">I", payload)
            return StreamAccepted(stream_id & 0x7FFFFFFF, self._decode_headers(payload[4:]))
        if kind == RST_STREAM:
            return StreamReset(*struct.unpack_from(">II", payload))
        if kind == PING:
            (ping_id,) = struct.unpack_from(">I", payload)
            ours = bool(ping_id % 2 == 0) == self._server
            return PingReceived(ping_id, b"" if ours else self._encode(PING, payload[:4]))
        if kind == GOAWAY:
            return GoAway(*struct.unpack_from(">II", payload))
        if kind == HEADERS:
            self._decode_headers(payload[4:])  # keeps the zlib stream in step; later headers mean nothing here
        return None  # SETTINGS and WINDOW_UPDATE change nothing without flow control

    def _decode_headers(self, block: bytes) -> dict[str, str]:
        try:
            raw = self._decompress.decompress(block, MAX_HEADER_BLOCK_BYTES)
        except zlib.error as error:
            raise SpdyError(f"SPDY header block does not decompress: {error}") from error
        if self._decompress.unconsumed_tail:
            raise SpdyError(f"SPDY header block is larger than {MAX_HEADER_BLOCK_BYTES} bytes")
        headers: dict[str, str] = {}
        (count,) = struct.unpack_from(">I", raw)
        position = 4
        for _ in range(count):
            name, position = _string(raw, position)
            value, position = _string(raw, position)
            headers[name.lower()] = value
        return headers

    # -- bytes out --------------------------------------------------------------------------------------------------

    def open_stream(self, headers: dict[str, str]) -> tuple[int, bytes]:
        """A new stream's id and the SYN_STREAM that opens it."""
        stream_id = self._next_id
        self._next_id += 2
        return stream_id, self._encode(SYN_STREAM, struct.pack(">IIH", stream_id, 0, 0) + self._headers(headers))

    def accept_stream(self, stream_id: int) -> bytes:
        return self._encode(SYN_REPLY, struct.pack(">I", stream_id) + self._headers({}))

    def send_data(self, stream_id: int, data: bytes, *, finish: bool = False) -> bytes:
        """DATA frames for ``data``; ``finish`` half-closes the stream."""
        frames = []
        for start in range(0, max(len(data), 1), MAX_FRAME_BYTES - 1):
            part = data[start : start + MAX_FRAME_BYTES - 1]
            last = start + len(part) >= len(data)
            flags = FIN if finish and last else 0
            frames.append(struct.pack(">II", stream_id, flags << 24 | len(part)) + part)
        return b"".join(frames)

    def reset_stream(self, stream_id: int, status: int = CANCEL) -> bytes:
        return self._encode(RST_STREAM, struct.pack(">II", stream_id, status))

    def go_away(self, last_stream_id: int = 0) -> bytes:
        return self._encode(GOAWAY, struct.pack(">II", last_stream_id, 0))

    def _headers(self, headers: dict[str, str]) -> bytes:
        block = struct.pack(">I", len(headers)) + b"".join(
            _length_prefixed_bytes(name.lower()) + _length_prefixed_bytes(value) for name, value in headers.items()
        )
        return self._compress.compress(block) + self._compress.flush(zlib.Z_SYNC_FLUSH)

    def _encode(self, kind: int, payload: bytes, flags: int = 0) -> bytes:
        return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload


def _length_prefixed_bytes(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw


def _string(raw: bytes, position: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">I", raw, position)
    end = position + 4 + length
    if end > len(raw):
        raise SpdyError("SPDY header block ends inside a header")
    return raw[position + 4 : end].decode("utf-8", "replace"), end
