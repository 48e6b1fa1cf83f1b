"""The OpenAPI v2 document as protobuf, for kubectl 1.28 and older, which understands nothing else.

Protobuf needs little: a field is its number and wire type as a varint, then a varint, eight bytes, or a length and that
many bytes.  So the messages are described here as tables, JSON key by key, and one function walks document and table
together.  Where the message has a wrapper that JSON does not (``type`` is a list inside a message), the table names
the wrapper.

Upstream: ``openapiv2/OpenAPIv2.proto`` of google/gnostic.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import orjson

Object = dict[str, Any]
Encode = Callable[[Any], bytes]

_VARINT, _FIXED64, _BYTES = 0, 1, 2


def encode(document: Object) -> bytes:
    """The bytes of a ``Document`` message."""
    return _message("Document")(document)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative numbers take ten bytes
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tagged(field: int, wire_type: int, payload: bytes) -> bytes:
    return varint(field << 3 | wire_type) + payload


def _block(field: int, payload: bytes) -> bytes:
    return _tagged(field, _BYTES, varint(len(payload)) + payload)


# -- kinds of fields: each takes the field's number and gives an encoder of the JSON value ---------------------------


def _string(field: int) -> Encode:
    return lambda value: _block(field, str(value).encode())


def _strings(field: int) -> Encode:
    return lambda values: b"".join(_block(field, value.encode()) for value in values)


def _bool(field: int) -> Encode:
    return lambda value: _tagged(field, _VARINT, varint(int(value)))


def _int(field: int) -> Encode:
    return lambda value: _tagged(field, _VARINT, varint(value))


def _double(field: int) -> Encode:
    return lambda value: _tagged(field, _FIXED64, struct.pack("<d", value))


def _any(field: int) -> Encode:
    return lambda value: _block(field, _any_message(value))


def _anys(field: int) -> Encode:
    return lambda values: b"".join(_block(field, _any_message(value)) for value in values)


def _any_message(value: Any) -> bytes:
    return _block(2, orjson.dumps(value))  # field ``yaml``; JSON is YAML


def _one(message: str) -> Callable[[int], Encode]:
    return lambda field: lambda value: _block(field, _message(message)(value))


def _many(message: str) -> Callable[[int], Encode]:
    return lambda field: lambda values: b"".join(_block(field, _message(message)(value)) for value in values)


def _wrapped(inner: Encode) -> Callable[[int], Encode]:
    """A message with one field, which JSON does without."""
    return lambda field: lambda value: _block(field, inner(value))


def _named(entries: Iterable[tuple[str, bytes]], field: int) -> bytes:
    """A map: repeated messages of ``name`` and ``value``."""
    return b"".join(_block(field, _block(1, name.encode()) + _block(2, value)) for name, value in entries)


def _map_of(message: str, entry_field: int = 1) -> Callable[[int], Encode]:
    return lambda field: lambda value: _block(
        field, _named(((name, _message(message)(item)) for name, item in value.items()), entry_field)
    )


def _type(field: int) -> Encode:
    return lambda value: _block(field, _strings(1)([value] if isinstance(value, str) else value))


def _additional(field: int) -> Encode:
    def item(value: Any) -> bytes:
        return _bool(2)(value) if isinstance(value, bool) else _one("Schema")(1)(value)

    return lambda value: _block(field, item(value))


def _items(field: int) -> Encode:
    return lambda value: _block(field, _many("Schema")(1)(value if isinstance(value, list) else [value]))


def _parameters(field: int) -> Encode:
    return lambda values: b"".join(_block(field, _wrapped(_parameter)(1)(value)) for value in values)


def _parameter(value: Object) -> bytes:
    """``Parameter``: a body parameter, or one of four others by where it stands."""
    if value["in"] == "body":
        return _one("BodyParameter")(1)(value)
    number = {"header": 1, "formData": 2, "query": 3, "path": 4}[value["in"]]
    message = "PlacedParameter" if value["in"] in ("header", "path") else "QueryParameter"
    return _block(2, _one(message)(number)(value))


def _responses(field: int) -> Encode:
    return lambda value: _block(field, _named(
        ((code, _one("Response")(1)(response)) for code, response in value.items()), 1))


# -- the messages --------------------------------------------------------------------------------------------------

_FIELDS: dict[str, dict[str, Encode]] = {
    "Document": {
        "swagger": _string(1), "info": _one("Info")(2), "paths": _map_of("PathItem", 2)(8),
        "definitions": _map_of("Schema")(9),
    },
    "Info": {"title": _string(1), "version": _string(2)},
    "PathItem": {
        "get": _one("Operation")(2), "put": _one("Operation")(3), "post": _one("Operation")(4),
        "delete": _one("Operation")(5), "patch": _one("Operation")(8), "parameters": _parameters(9),
    },
    "Operation": {
        "tags": _strings(1), "description": _string(3), "operationId": _string(5), "produces": _strings(6),
        "consumes": _strings(7), "parameters": _parameters(8), "responses": _responses(9),
    },
    "BodyParameter": {
        "description": _string(1), "name": _string(2), "in": _string(3), "required": _bool(4),
        "schema": _one("Schema")(5),
    },
    "PlacedParameter": {
        "required": _bool(1), "in": _string(2), "description": _string(3), "name": _string(4), "type": _string(5),
        "uniqueItems": _bool(19),
    },
    "QueryParameter": {
        "required": _bool(1), "in": _string(2), "description": _string(3), "name": _string(4), "type": _string(6),
        "uniqueItems": _bool(20),
    },
    "Response": {"description": _string(1), "schema": _wrapped(_one("Schema")(1))(2)},
    "Schema": {
        "$ref": _string(1), "format": _string(2), "title": _string(3), "description": _string(4), "default": _any(5),
        "maximum": _double(7), "minimum": _double(9), "maxLength": _int(11), "minLength": _int(12),
        "pattern": _string(13), "maxItems": _int(14), "minItems": _int(15), "uniqueItems": _bool(16),
        "required": _strings(19), "enum": _anys(20), "additionalProperties": _additional(21), "type": _type(22),
        "items": _items(23), "allOf": _many("Schema")(24), "properties": _map_of("Schema")(25),
    },
}
_EXTENSIONS = {"PathItem": 10, "Operation": 13, "Schema": 31}


def _message(name: str) -> Encode:
    """The encoder of a message: the fields that the table knows, and ``x-`` keys as vendor extensions."""

    def encoded(value: Object) -> bytes:
        fields, extension = _FIELDS[name], _EXTENSIONS.get(name)
        out = [fields[key](item) for key, item in value.items() if key in fields]
        if extension is not None:
            extra = ((key, _any_message(item)) for key, item in value.items() if key.startswith("x-"))
            out.append(_named(extra, extension))
        return b"".join(out)

    return encoded
