"""From JSON-shaped dicts to messages' bytes.

Writes what the dict has, zeros included, and no more: to a reader, a field that is absent and one that is zero are the
same, unless it is a pointer, and then the dict knows.  Fields come in the order of their numbers and maps sorted by
key, so equal objects give equal bytes.

Upstream: ``generated.pb.go``'s Marshal methods.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from sampan.api.protobuf import moments, table
from sampan.api.protobuf.json_schema import SCHEMA, write_or_bool, write_or_list
from sampan.api.protobuf.wire import FIXED64, LENGTH, VARINT, block, double, tag, varint

Object = dict[str, Any]
Payload = Callable[[Any], bytes]
#: Appends a field's bytes.
Writer = Callable[[list[bytes], Any], None]


def message(name: str, obj: Object) -> bytes:
    """Raises: what wrong values raise; the envelope translates."""
    out: list[bytes] = []
    for key, write in _writers(name):
        value = obj.get(key) if key else obj
        if value is not None:
            write(out, value)
    return b"".join(out)


@cache
def _writers(name: str) -> tuple[tuple[str, Writer], ...]:
    return tuple((field.name, _writer(field)) for field in table.fields(name))


def _writer(field: table.Field) -> Writer:
    if field.kind in "bil":
        return _numbers(field.number) if field.repeated else _number(field.number)
    if field.kind == "d":
        return _double(tag(field.number, FIXED64))
    head = tag(field.number, LENGTH)
    if field.inline:
        return _inline(head, field.kind)
    if field.kind[0] == "{":
        return _map(head, _payload(field.kind[1:-1]))
    payload = _payload(field.kind)
    return _list(head, payload) if field.repeated else _single(head, payload)


def _single(head: bytes, payload: Payload) -> Writer:
    def write(out: list[bytes], value: Any) -> None:
        body = payload(value)
        out += (head, varint(len(body)), body)

    return write


def _list(head: bytes, payload: Payload) -> Writer:
    def write(out: list[bytes], values: Any) -> None:
        for value in values:
            body = payload(value)
            out += (head, varint(len(body)), body)

    return write


def _map(head: bytes, payload: Payload) -> Writer:
    def write(out: list[bytes], entries: Any) -> None:
        for key in sorted(entries):
            body = block(1, key.encode()) + block(2, payload(entries[key]))
            out += (head, varint(len(body)), body)

    return write


def _inline(head: bytes, kind: str) -> Writer:
    """Nothing of the message in the parent: no message."""
    def write(out: list[bytes], obj: Any) -> None:
        body = message(kind, obj)
        if body:
            out += (head, varint(len(body)), body)

    return write


def _number(number: int) -> Writer:
    head = tag(number, VARINT)

    def write(out: list[bytes], value: Any) -> None:
        out += (head, varint(value))

    return write


def _double(head: bytes) -> Writer:
    def write(out: list[bytes], value: Any) -> None:
        out += (head, double(value))

    return write


def _numbers(number: int) -> Writer:
    head = tag(number, VARINT)

    def write(out: list[bytes], values: Any) -> None:
        for value in values:
            out += (head, varint(value))

    return write


@cache
def _payload(kind: str) -> Payload:
    if kind[0] == "[":
        return _wrapped(_payload(kind[1:-1]))
    if kind in "BAS":
        schema = _payload(SCHEMA)
        return write_or_bool(schema) if kind == "B" else write_or_list(schema, schema if kind == "A" else str.encode)
    return _PAYLOADS[kind] if len(kind) == 1 else lambda obj: message(kind, obj)


def _wrapped(payload: Payload) -> Payload:
    return lambda values: b"".join(block(1, payload(value)) for value in values)


def _quantity(value: Any) -> bytes:
    return block(1, str(value).encode())


def _int_or_string(value: Any) -> bytes:
    if isinstance(value, str):
        return tag(1, VARINT) + varint(1) + block(3, value.encode())
    return tag(1, VARINT) + varint(0) + tag(2, VARINT) + varint(value)


def _raw(value: Any) -> bytes:
    return block(1, orjson.dumps(value))


_PAYLOADS: dict[str, Payload] = {
    "s": str.encode, "y": base64.b64decode, "t": moments.encode, "u": moments.encode, "q": _quantity,
    "o": _int_or_string, "r": _raw, "f": _raw,
}
