"""The values that JSON writes plainly and protobuf as bytes or small messages: times, quantities, raw JSON.

Upstream: the ProtoMessage methods of Time, Quantity, IntOrString and RawExtension.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson

from sampan.api.protobuf.moments import micro_time, time
from sampan.api.protobuf.wire import LENGTH, MAGIC, VARINT, ProtobufError, read_varint, signed, signed32, skip

#: (data, start, stop, depth) -> value
Reader = Callable[[bytes, int, int, int], Any]


def parts(data: bytes, position: int, end: int) -> list[tuple[int, int, int]]:
    """The fields of a small message: (number, start, stop), or (number, value, 0) for a varint."""
    parts = []
    while position < end:
        tag, position = read_varint(data, position)
        if tag & 7 == VARINT:
            value, position = read_varint(data, position)
            parts.append((tag >> 3, value, 0))
        elif tag & 7 == LENGTH:
            length, position = read_varint(data, position)
            parts.append((tag >> 3, position, position + length))
            position += length
        else:
            position = skip(data, position, tag & 7)
    if position != end:
        raise ProtobufError("unexpected EOF")
    return parts


def entry(data: bytes, position: int, end: int) -> tuple[str, int, int]:
    """A map's entry is a message: 1 the key, 2 the value. Gives the key and where the value is."""
    key, start, stop = "", end, end
    while position < end:
        tag, position = read_varint(data, position)
        if tag not in (1 << 3 | LENGTH, 2 << 3 | LENGTH):
            position = skip(data, position, tag & 7)
            continue
        length, position = read_varint(data, position)
        if position + length > end:
            raise ProtobufError("unexpected EOF in the entry of a map")
        if tag >> 3 == 1:
            key = data[position:position + length].decode()
        else:
            start, stop = position, position + length
        position += length
    if position != end:
        raise ProtobufError("unexpected EOF in the entry of a map")
    return key, start, stop


def _text(data: bytes, position: int, stop: int, depth: int) -> str:
    return data[position:stop].decode()


def _bytes(data: bytes, position: int, stop: int, depth: int) -> str:
    return base64.b64encode(data[position:stop]).decode()


def _time(data: bytes, position: int, stop: int, depth: int) -> str | None:
    found = {number: value for number, value, _ in parts(data, position, stop)}
    return time(signed(found.get(1, 0))) if found else None


def _micro_time(data: bytes, position: int, stop: int, depth: int) -> str | None:
    found = {number: value for number, value, _ in parts(data, position, stop)}
    return micro_time(signed(found.get(1, 0)), signed32(found.get(2, 0))) if found else None


def _quantity(data: bytes, position: int, stop: int, depth: int) -> str:
    return next((data[start:end].decode() for number, start, end in parts(data, position, stop) if number == 1), "0")


def _int_or_string(data: bytes, position: int, stop: int, depth: int) -> int | str:
    kind, number, text = 0, 0, ""
    for field, value, end in parts(data, position, stop):
        if field == 1:
            kind = value
        elif field == 2:
            number = signed32(value)
        elif field == 3:
            text = data[value:end].decode()
    return text if kind else number


def _raw(data: bytes, position: int, stop: int, depth: int) -> Any:
    """JSON in bytes, or another envelope (a watch event's object)."""
    for number, start, end in parts(data, position, stop):
        if number == 1 and end > start:
            if data.startswith(MAGIC, start):
                from sampan.api.protobuf.envelope import unwrap

                return unwrap(data[start:end], depth=depth + 1)
            return orjson.loads(data[start:end])
    return None


READERS: dict[str, Reader] = {"s": _text, "y": _bytes, "t": _time, "u": _micro_time, "q": _quantity,
                               "o": _int_or_string, "r": _raw, "f": _raw}
