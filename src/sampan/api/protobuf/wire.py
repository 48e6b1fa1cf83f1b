"""Protobuf's wire format: tags, numbers of variable length, and what to do with fields that nobody knows.

Upstream: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import math
import struct

MAGIC = b"k8s\0"
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
#: Messages inside messages. Kubernetes' own go 15 deep; whoever sends more wants our stack.
MAX_DEPTH = 64
_WIDTHS = {FIXED64: 8, FIXED32: 4}


class ProtobufError(ValueError):
    """The bytes are no such message, or the object has no such form."""


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def varint(value: int) -> bytes:
    """A number, seven bits a byte, low ones first; negative ones as 64-bit two's complement."""
    if 0 <= value < 128:
        return _SMALL[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = tuple(bytes((value,)) for value in range(128))


def block(number: int, payload: bytes) -> bytes:
    """A field whose value is bytes, a text or a message."""
    return b"%b%b%b" % (tag(number, LENGTH), varint(len(payload)), payload)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number and where it ends. Raises: ProtobufError, IndexError (the data ends before the number does)."""
    value = shift = 0
    while shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
    raise ProtobufError("integer overflow")


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def read_double(data: bytes, position: int) -> float:
    """Raises: ProtobufError, also for what JSON can't say (infinity, not a number)."""
    if position + 8 > len(data):
        raise ProtobufError("unexpected EOF")
    value: float = struct.unpack_from("<d", data, position)[0]
    if not math.isfinite(value):
        raise ProtobufError(f"unsupported value: {value}")
    return value


def signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def signed32(value: int) -> int:
    """Go cuts a too large number off; so do we."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def skip(data: bytes, position: int, wire_type: int) -> int:
    """Where the value of an unknown field ends; the caller checks that this is inside the message.

    Raises: ProtobufError, IndexError.
    """
    if wire_type == VARINT:
        return read_varint(data, position)[1]
    if wire_type == LENGTH:
        length, position = read_varint(data, position)
        return position + length
    if wire_type in _WIDTHS:
        return position + _WIDTHS[wire_type]
    raise ProtobufError(f"illegal wireType {wire_type}")
