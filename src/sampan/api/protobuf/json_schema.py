"""JSON Schema's fields that are one thing or another: a schema or true, a schema or a list of them.

JSON tells them apart by looking; protobuf has a message for each, with a field for either.  Read and written here,
because what they become in JSON is not an object with those fields.

Upstream: JSONSchemaPropsOrBool, -OrArray and -OrStringArray in ``apiextensions/v1/marshal.go``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sampan.api.protobuf.values import Reader, parts
from sampan.api.protobuf.wire import VARINT, ProtobufError, block, tag, varint

SCHEMA = "apiextensions.v1.JSONSchemaProps"
#: The bytes of a value.
Write = Callable[[Any], bytes]


def or_bool(schema: Reader) -> Reader:
    def read(data: bytes, position: int, end: int, depth: int) -> Any:
        allows: Any = False
        for number, start, stop in parts(data, position, end):
            if number == 2:
                return schema(data, start, stop, depth)
            if number == 1:
                allows = bool(start)
        return allows

    return read


def or_list(schema: Reader, item: Reader) -> Reader:
    """``items`` are schemas, too, or strings. Neither one nor the other: nothing."""
    def read(data: bytes, position: int, end: int, depth: int) -> Any:
        single, items = None, []
        for number, start, stop in parts(data, position, end):
            if number == 1:
                single = schema(data, start, stop, depth)
            elif number == 2:
                items.append(item(data, start, stop, depth))
        return items or single

    return read


def write_or_bool(schema: Write) -> Write:
    def write(value: Any) -> bytes:
        if isinstance(value, dict):
            return tag(1, VARINT) + varint(1) + block(2, schema(value))
        if not isinstance(value, bool):
            raise ProtobufError("boolean or JSON schema expected")
        return tag(1, VARINT) + varint(value)

    return write


def write_or_list(schema: Write, item: Write) -> Write:
    def write(value: Any) -> bytes:
        if isinstance(value, dict):
            return block(1, schema(value))
        return b"".join(block(2, item(each)) for each in value)

    return write
