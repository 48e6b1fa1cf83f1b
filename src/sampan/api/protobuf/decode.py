"""From a message's bytes to the dict that JSON would have given.

Each message gets a dict from tags to functions, made when it is first met, so that the walk itself is one loop.  What
Go's JSON would have left out is left out here; hostile bytes end in a ``ProtobufError``.

Upstream: ``generated.pb.go``'s Unmarshal methods, and the ProtoMessage methods of Time, Quantity and their like.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sampan.api.protobuf import table
from sampan.api.protobuf.json_schema import SCHEMA, or_bool, or_list
from sampan.api.protobuf.values import READERS, Reader, entry, parts
from sampan.api.protobuf.wire import (
    FIXED64,
    LENGTH,
    MAX_DEPTH,
    VARINT,
    ProtobufError,
    read_double,
    read_varint,
    signed,
    signed32,
    skip,
)

Object = dict[str, Any]
#: Puts a field's value into the object: (object, data, start, stop, depth), or (object, number) for varints.
Taker = Callable[..., None]


def message(name: str, data: bytes, position: int, end: int, depth: int, out: Object) -> Object:
    """Reads the bytes from ``position`` to ``end`` into ``out``. Raises: ValueError, IndexError, OverflowError."""
    if depth > MAX_DEPTH:
        raise ProtobufError("exceeded max depth")
    takers = _takers(name)
    while position < end:
        tag = data[position]
        position += 1
        if tag > 127:
            tag, position = read_varint(data, position - 1)
        take = takers.get(tag)
        if take is None:
            position = _unknown(name, tag, data, position)
        elif tag & 7 == LENGTH:
            length = data[position]
            position += 1
            if length > 127:
                length, position = read_varint(data, position - 1)
            stop = position + length
            if stop > end:
                raise ProtobufError(f"unexpected EOF in {name}")
            take(out, data, position, stop, depth)
            position = stop
        elif tag & 7 == VARINT:
            value, position = read_varint(data, position)
            take(out, value)
        else:
            take(out, data, position)
            position += 8
    if position != end:
        raise ProtobufError(f"unexpected EOF in {name}")
    return out


def _unknown(name: str, tag: int, data: bytes, position: int) -> int:
    """A newer field is skipped; a known one in another form is a mistake."""
    number, wire_type = tag >> 3, tag & 7
    if number == 0:
        raise ProtobufError(f"{name}: illegal tag 0")
    if any(number << 3 | other in _takers(name) for other in (VARINT, FIXED64, LENGTH)):
        raise ProtobufError(f"wrong wireType = {wire_type} for field {number} of {name}")
    return skip(data, position, wire_type)


@cache
def _takers(name: str) -> dict[int, Taker]:
    takers: dict[int, Taker] = {}
    for field in table.fields(name):
        if field.kind in _NUMBERS:
            takers[field.number << 3 | VARINT] = _number(field)
            if field.repeated:
                takers[field.number << 3 | LENGTH] = _packed(field)
        elif field.kind == "d":
            takers[field.number << 3 | FIXED64] = _double(field.name)
        else:
            takers[field.number << 3 | LENGTH] = _taker(field)
    return takers


def _taker(field: table.Field) -> Taker:
    if field.inline:
        return _inline(field.kind)
    if field.kind[0] == "{":
        return _map(field.name, _reader(field.kind[1:-1]))
    if field.repeated:
        return _list(field.name, _reader(field.kind))
    if field.kind == "s":
        return _text_field(field.name, field.keep)
    if len(field.kind) > 1 and field.kind[0] != "[":
        return _message_field(field.name, field.kind)
    if field.kind in "yo":
        return _value_field(field.name, _reader(field.kind), field.keep)
    return _set_field(field.name, _reader(field.kind))


# -- fields ------------------------------------------------------------------------------------------------------------


def _text_field(name: str, keep: bool) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        if keep or stop > position:
            out[name] = data[position:stop].decode()

    return take


def _message_field(name: str, kind: str) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        inner = out.get(name)
        if inner is None:  # else it comes in two parts, which protobuf allows
            inner = out[name] = {}
        message(kind, data, position, stop, depth + 1, inner)

    return take


def _inline(kind: str) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        message(kind, data, position, stop, depth + 1, out)

    return take


def _value_field(name: str, read: Reader, keep: bool) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        value = read(data, position, stop, depth)
        if keep or value:
            out[name] = value

    return take


def _set_field(name: str, read: Reader) -> Taker:
    """For kinds that know themselves whether there is a value: None is no time, no JSON."""
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        value = read(data, position, stop, depth)
        if value is not None:
            out[name] = value

    return take


def _list(name: str, read: Reader) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        value = read(data, position, stop, depth)
        items = out.get(name)
        if items is None:
            out[name] = [value]
        else:
            items.append(value)

    return take


def _map(name: str, read: Reader) -> Taker:
    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        entries = out.get(name)
        if entries is None:
            entries = out[name] = {}
        key, start, end = entry(data, position, stop)
        entries[key] = read(data, start, end, depth)

    return take


_NUMBERS: dict[str, Callable[[int], int | bool]] = {"b": bool, "i": signed32, "l": signed}


def _number(field: table.Field) -> Taker:
    name, keep, convert = field.name, field.keep, _NUMBERS[field.kind]

    def take(out: Object, value: int) -> None:
        if keep or value:
            out[name] = convert(value)

    def append(out: Object, value: int) -> None:
        out.setdefault(name, []).append(convert(value))

    return append if field.repeated else take


def _double(name: str) -> Taker:
    """All doubles are pointers. Go's JSON writes 5 for 5.0, and so do we."""
    def take(out: Object, data: bytes, position: int) -> None:
        value = read_double(data, position)
        out[name] = int(value) if value.is_integer() and abs(value) < 1e21 else value

    return take


def _packed(field: table.Field) -> Taker:
    name, convert = field.name, _NUMBERS[field.kind]

    def take(out: Object, data: bytes, position: int, stop: int, depth: int) -> None:
        items = out.setdefault(name, [])
        while position < stop:
            value, position = read_varint(data, position)
            items.append(convert(value))
        if position != stop:
            raise ProtobufError(f"unexpected EOF in {name}")

    return take


# -- values ------------------------------------------------------------------------------------------------------------


@cache
def _reader(kind: str) -> Reader:
    if kind[0] == "[":
        return _wrapped(_reader(kind[1:-1]))
    if kind in "BAS":
        schema = _reader(SCHEMA)
        return or_bool(schema) if kind == "B" else or_list(schema, schema if kind == "A" else READERS["s"])
    return READERS[kind] if len(kind) == 1 else lambda data, position, stop, depth: message(
        kind, data, position, stop, depth + 1, {})


def _wrapped(read: Reader) -> Reader:
    def values(data: bytes, position: int, end: int, depth: int) -> list[Any]:
        return [read(data, start, stop, depth) for number, start, stop in parts(data, position, end) if number == 1]

    return values
