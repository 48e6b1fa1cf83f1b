"""WebSocket framing (RFC 6455), sans-I/O: bytes in give events, method calls give bytes out.

Each message of the Kubernetes subprotocols is small and binary (or text with base64), so whole messages are handed
out, with a cap on their size. Fragments are joined; control frames may come between them.

    FIN 1 | RSV 3 | opcode 4 | MASK 1 | length 7 (126: 16 bits follow, 127: 64 bits) | masking key 32 | payload
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL_CLOSURE, PROTOCOL_ERROR, TOO_LARGE, INTERNAL_ERROR = 1000, 1002, 1009, 1011
MAX_MESSAGE_BYTES = 1 << 25
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketError(Exception):
    """The peer broke the protocol. ``code`` goes into the close frame."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    data: bytes
    binary: bool = True


@dataclass(frozen=True, slots=True)
class Ping:
    """``answer`` is the pong to send back."""

    answer: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    code: int
    reason: str


Event = Message | Ping | Closed


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


class WebSocketConnection:
    """One end of a connection. A client masks what it sends, a server insists on it."""

    def __init__(self, *, server: bool) -> None:
        self._server = server
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._opcode = 0

    def receive(self, data: bytes) -> list[Event]:
        """Feed what arrived; returns the events that it completes, in order. Raises: WebSocketError."""
        self._buffer += data
        events: list[Event] = []
        while (frame := self._next_frame()) is not None:
            event = self._handle(*frame)
            if event is not None:
                events.append(event)
        return events

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0x70:
            raise WebSocketError(PROTOCOL_ERROR, "reserved bits are set, but no extension was agreed on")
        masked, length, start = bool(buffer[1] & 0x80), buffer[1] & 0x7F, 2
        if masked != self._server:
            raise WebSocketError(PROTOCOL_ERROR, "a client must mask its frames, a server must not")
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < 2 + size:
                return None
            length, start = int.from_bytes(buffer[2 : 2 + size], "big"), 2 + size
        if length > MAX_MESSAGE_BYTES:
            raise WebSocketError(TOO_LARGE, f"a frame of {length} bytes is too large")
        key_end = start + (4 if masked else 0)
        if len(buffer) < key_end + length:
            return None
        payload = bytes(memoryview(buffer)[key_end : key_end + length])
        if masked:
            payload = _mask(payload, bytes(buffer[start:key_end]))
        first = buffer[0]
        del buffer[: key_end + length]
        return bool(first & 0x80), first & 0x0F, payload

    def _handle(self, final: bool, opcode: int, payload: bytes) -> Event | None:
        if opcode >= CLOSE and (not final or len(payload) > 125):
            raise WebSocketError(PROTOCOL_ERROR, "a control frame must be whole and at most 125 bytes long")
        if opcode == PING:
            return Ping(self._frame(PONG, payload))
        if opcode == PONG:
            return None
        if opcode == CLOSE:
            code = struct.unpack_from(">H", payload)[0] if len(payload) >= 2 else NORMAL_CLOSURE
            return Closed(code, payload[2:].decode("utf-8", "replace"))
        return self._data(final, opcode, payload)

    def _data(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        if (opcode == CONTINUATION) != bool(self._opcode) or opcode not in (CONTINUATION, TEXT, BINARY):
            raise WebSocketError(PROTOCOL_ERROR, f"a frame with opcode {opcode} can't come here")
        self._opcode = self._opcode or opcode
        self._parts.append(payload)
        if sum(map(len, self._parts)) > MAX_MESSAGE_BYTES:
            raise WebSocketError(TOO_LARGE, f"a message of more than {MAX_MESSAGE_BYTES} bytes is too large")
        if not final:
            return None
        message = Message(b"".join(self._parts), self._opcode == BINARY)
        self._parts, self._opcode = [], 0
        return message

    def send(self, data: bytes, *, binary: bool = True) -> bytes:
        return self._frame(BINARY if binary else TEXT, data)

    def ping(self, data: bytes = b"") -> bytes:
        return self._frame(PING, data)

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> bytes:
        return self._frame(CLOSE, struct.pack(">H", code) + reason.encode()[:123])

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        length, mask_bit = len(payload), 0 if self._server else 0x80
        if length < 126:
            head = struct.pack(">BB", 0x80 | opcode, mask_bit | length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", 0x80 | opcode, mask_bit | 126, length)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, mask_bit | 127, length)
        if self._server:
            return head + payload
        key = os.urandom(4)
        return head + key + _mask(payload, key)


def _mask(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated key, as one big integer: far quicker than byte by byte."""
    length = len(payload)
    repeated = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(length, "big")
