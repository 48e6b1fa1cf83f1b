"""Reads request bodies in protobuf: kubectl from 1.32 on sends built-in kinds in no other form.

A body is the magic ``k8s\\0`` and an envelope (apiVersion, kind, raw bytes); the raw bytes are the object.  Protobuf
knows fields by number only, so ``protobuf_fields.txt`` gives each message's JSON names in the order of their numbers:

    core.v1.EnvVar: name value valueFrom        numbers 1, 2, 3
    apps.v1.DeploymentSpec: *replicas ... @9 *progressDeadlineSeconds     the next one has number 9
    core.v1.Volume: name +VolumeSource          a message whose fields stand in its parent's JSON object

What kind of value a field has is told by the schema, as for JSON.  Go writes plain numbers, texts and booleans even
when they are zero, but pointers (``*``) only when they are set; so a zero is dropped except where it is pointed to:
``replicas: 0`` means none, ``minReadySeconds: 0`` means nothing was said.

Upstream: ``staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf``; the ``protobuf:`` tags of ``k8s.io/api``.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from sampan.api import clock, types
from sampan.api.errors import BadRequest
from sampan.api.types import Type

Object = dict[str, Any]

MEDIA = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIXES = ("io.k8s.apimachinery.pkg.apis.", "io.k8s.api.")


class ProtobufError(ValueError):
    """The bytes can't be read."""


@dataclass(frozen=True, slots=True)
class Field:
    """``pointer``: a zero counts. ``inline``: the message whose fields belong to the parent's JSON object."""

    name: str
    pointer: bool = False
    inline: str = ""


def envelope(data: bytes) -> tuple[str, str, bytes]:
    """The apiVersion, kind and raw bytes of a body. Raises: BadRequest."""
    if not data.startswith(MAGIC):
        raise BadRequest(f"the provided data does not appear to be a protobuf message, expected prefix {MAGIC!r}")
    try:
        outer = dict((number, value) for number, _, value in _walk(data[len(MAGIC):]))
        meta = dict((number, value) for number, _, value in _walk(outer.get(1, b"")))
        return meta.get(1, b"").decode(), meta.get(2, b"").decode(), outer.get(2, b"")
    except (ProtobufError, UnicodeDecodeError, AttributeError) as error:
        raise BadRequest(f"unable to read the protobuf envelope: {error}") from error


def read(data: bytes, type_: Type) -> Object:
    """The object of a body, as its JSON would have said it. Raises: BadRequest."""
    api_version, kind, raw = envelope(data)
    try:
        obj = _struct(_short(type_.name), type_, raw)
    except (ProtobufError, UnicodeDecodeError, AttributeError, TypeError, OverflowError) as error:
        raise BadRequest(f"unable to read the protobuf message of {kind}: {error}") from error
    return obj | {key: value for key, value in (("apiVersion", api_version), ("kind", kind)) if value}


# -- the wire ----------------------------------------------------------------------------------------------------------


def _walk(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value): an int for varints, bytes for everything else. Raises: ProtobufError."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value: Any
            value, position = _varint(data, position)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire_type, -1)
            if wire_type == _BYTES:
                length, position = _varint(data, position)
            if length < 0 or position + length > len(data):
                raise ProtobufError(f"field {number} with wire type {wire_type} goes beyond the message")
            value, position = data[position:position + length], position + length
        yield number, wire_type, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ProtobufError("a number does not end")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


# -- messages ----------------------------------------------------------------------------------------------------------


def _struct(message: str, type_: Type, data: bytes) -> Object:
    fields = _messages().get(message)
    if fields is None:  # better refused than read as if it were empty
        raise ProtobufError(f"the protobuf form of {message} is not supported, send JSON")
    out: Object = {}
    for number, wire_type, raw in _walk(data):
        field = fields.get(number)
        if field is None:
            continue  # newer than we are: upstream drops it as well
        if field.inline:
            out.update(_struct(field.inline, type_, raw))
            continue
        found = type_.child(field.name)
        if found is not None:
            _put(out, field, found, wire_type, raw)
    return out


def _put(out: Object, field: Field, type_: Type, wire_type: int, raw: Any) -> None:
    if type_.kind == types.LIST:
        out.setdefault(field.name, []).append(_value(type_.element or types.ANY_TYPE, raw))
    elif type_.kind == types.MAP:
        entry = dict((number, value) for number, _, value in _walk(raw))
        element = type_.element or types.ANY_TYPE
        out.setdefault(field.name, {})[entry.get(1, b"").decode()] = _map_value(element, entry.get(2, b""))
    else:
        value = _value(type_, raw)
        if value is not None and (field.pointer or value or isinstance(value, dict)):
            out[field.name] = value


def _map_value(element: Type, raw: Any) -> Any:
    if element.kind == types.LIST:  # a list can't be a map's value in protobuf: it is wrapped
        return [_value(element.element or types.ANY_TYPE, item) for _, _, item in _walk(raw)]
    return _value(element, raw)


def _value(type_: Type, raw: Any) -> Any:
    """One value. None for a time that was never set."""
    match type_.kind:
        case types.STRING:
            return raw.decode()
        case types.INTEGER:
            return _signed(raw)
        case types.BOOLEAN:
            return bool(raw)
        case types.NUMBER:
            return struct.unpack("<d", raw)[0]
        case types.BYTES:
            return base64.b64encode(raw).decode()
        case types.STRUCT:
            return _struct(_short(type_.name), type_, raw)
    return _special(type_, dict((number, value) for number, _, value in _walk(raw)))


def _special(type_: Type, parts: dict[int, Any]) -> Any:
    """Values that JSON writes plainly and protobuf as small messages."""
    match type_.kind:
        case types.QUANTITY:
            return parts.get(1, b"0").decode()
        case types.INT_OR_STRING:
            return parts.get(3, b"").decode() if parts.get(1) else _signed(parts.get(2, 0))
        case types.TIME | types.MICRO_TIME:
            if not parts:
                return None
            moment = _EPOCH + timedelta(seconds=_signed(parts.get(1, 0)), microseconds=parts.get(2, 0) // 1000)
            return clock.rfc3339(moment) if type_.kind == types.TIME else clock.rfc3339_micro(moment)
    return orjson.loads(parts.get(1) or b"null")


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


@lru_cache(maxsize=1)
def _messages() -> dict[str, dict[int, Field]]:
    """``{message: {number: field}}``; read when the first protobuf body comes."""
    text = Path(__file__).with_name("protobuf_fields.txt").read_text()
    return dict(_parse(line) for line in text.splitlines() if line and not line.startswith("#"))


def _parse(line: str) -> tuple[str, dict[int, Field]]:
    message, _, words = line.partition(": ")
    package, number, fields = message.rpartition(".")[0], 0, {}
    for word in words.split():
        if word.startswith("@"):
            number = int(word[1:]) - 1
            continue
        number += 1
        if word.startswith("+"):
            inline = word[1:] if "." in word else f"{package}.{word[1:]}"
            fields[number] = Field("", inline=inline)
        else:
            fields[number] = Field(word.removeprefix("*"), word.startswith("*"))
    return message, fields
