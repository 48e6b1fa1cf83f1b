"""Makes a parsed body into an object of its type, the way Go's decoder would.

Unknown fields go (and are told of), ``null`` goes, empty optional lists and maps go, quantities and times get their
one canonical form, and a value of the wrong type is refused in the words of Go's ``encoding/json``.  One walk, in
place: the body was parsed for this.  It runs on every create and update, hence the few shortcuts.

Upstream: apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/json, the UnmarshalJSON methods of the special types.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import UTC
from typing import Any

import orjson

from sampan.api import clock, quantity, types
from sampan.api.errors import quote
from sampan.api.types import Type

#: Where the walk is: ``(parent, key)``; a key is a field's name or a list's index. Built cheaply, read on errors only.
Path = tuple["Path | None", str | int]
Decoder = Callable[[Type, Any, "Path | None", "Walk"], Any]
MAX_MISTAKES = 100
_RFC3339 = "2006-01-02T15:04:05Z07:00"
_ZERO: dict[str, Any] = {types.STRING: "", types.BOOLEAN: False, types.INTEGER: 0, types.NUMBER: 0,
                         types.QUANTITY: "0", types.INT_OR_STRING: 0, types.BYTES: "", types.TIME: None,
                         types.MICRO_TIME: None}


class DecodeError(ValueError):
    """The body can't be an object of the type; the text is Go's."""


class Walk:
    """One decoding: where it began, and what strict validation would complain about."""

    __slots__ = ("root", "mistakes")

    def __init__(self, root: Type) -> None:
        self.root = root
        self.mistakes: list[str] = []

    def unknown(self, path: Path | None, key: str) -> None:
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(f"unknown field {quote(_shown((path, key)))}")

    def mismatch(self, type: Type, value: Any, path: Path | None, go_type: str = "") -> DecodeError:
        """``json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32``."""
        literal = type.kind in (types.INTEGER, types.NUMBER)
        what = f"json: cannot unmarshal {_json_kind(value, literal)} into Go "
        fields = [key for key in _keys(path) if isinstance(key, str)]
        if not fields:
            return DecodeError(f"{what}value of type {go_type or type.go_type}")
        struct = self._innermost_struct(path)
        return DecodeError(f"{what}struct field {struct}.{'.'.join(fields)} of type {go_type or type.go_type}")

    def _innermost_struct(self, path: Path | None) -> str:
        here, name = self.root, ""
        for key in _keys(path):
            while here.kind in (types.LIST, types.MAP) and here.element and isinstance(key, str):
                here = here.element
            if here.kind == types.STRUCT:
                name = here.short_name
            below = here.child(key) if isinstance(key, str) else here.element
            if below is None:
                break
            here = below
        return name


def prune(obj: Any, type: Type) -> list[str]:
    """Decode ``obj`` in place; returns the mistakes that strict validation would refuse, in the body's order.

    Raises: DecodeError.
    """
    walk = Walk(type)
    try:
        _DECODERS[type.kind](type, obj, None, walk)
    except RecursionError:
        raise DecodeError("exceeded max depth") from None
    return walk.mistakes


def _struct(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is not dict:
        raise walk.mismatch(type, value, path)
    fields = type.fields
    drop: list[str] = []
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            if not type.preserve_unknown:
                walk.unknown(path, key)
                drop.append(key)
        elif item.__class__ is field.plain:
            continue
        elif item is None or (not item and field.droppable and item.__class__ in (list, dict)
                              and key not in type.required):
            drop.append(key)
        else:
            fresh = _DECODERS[field.kind](field, item, (path, key), walk)
            if fresh is not item:
                value[key] = fresh
    for key in drop:
        del value[key]
    return value


def _map(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is not dict:
        raise walk.mismatch(type, value, path)
    element = type.element or types.ANY_TYPE
    plain, decode = element.plain, _DECODERS[element.kind]
    for key, item in value.items():
        if item is None:
            value[key] = _zero(element)
        elif item.__class__ is not plain:
            fresh = decode(element, item, path, walk)  # Go's errors name the map's field, not the entry
            if fresh is not item:
                value[key] = fresh
    return value


def _list(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is not list:
        raise walk.mismatch(type, value, path)
    element = type.element or types.ANY_TYPE
    plain, decode = element.plain, _DECODERS[element.kind]
    for index, item in enumerate(value):
        if item is None:
            value[index] = _zero(element)
        elif item.__class__ is not plain:
            fresh = decode(element, item, (path, index), walk)
            if fresh is not item:
                value[index] = fresh
    return value


def _zero(type: Type) -> Any:
    """What Go puts where ``null`` stands inside a list or map."""
    return {} if type.kind in (types.STRUCT, types.MAP) else [] if type.kind == types.LIST else _ZERO.get(type.kind)


def _wrong(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    raise walk.mismatch(type, value, path)  # plain values are let through before they come here


def _integer(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is int and -type.limit <= value < type.limit:
        return value
    raise walk.mismatch(type, value, path)


def _number(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is int or value.__class__ is float:
        return value
    raise walk.mismatch(type, value, path)


def _int_or_string(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is str or (value.__class__ is int and -2**31 <= value < 2**31):
        return value
    raise walk.mismatch(type, value, None, "int32")


def _quantity(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ not in (str, int, float):
        raise DecodeError(quantity.FORMAT_WRONG)
    try:
        return quantity.canonical(value)
    except quantity.QuantityError as error:
        raise DecodeError(str(error)) from None


_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def _time(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    micro = type.kind == types.MICRO_TIME
    if value.__class__ is not str:
        raise walk.mismatch(type, value, None, "string")
    try:
        moment = clock.parse(value)
    except ValueError:
        layout = _RFC3339.replace("05Z", "05.000000Z") if micro else _RFC3339
        raise DecodeError(f'parsing time {quote(value)} as "{layout}": cannot parse {quote(value)} as "2006"') from None
    if (_MICROS if micro else _SECONDS).fullmatch(value):
        return value
    return clock.rfc3339_micro(moment.astimezone(UTC)) if micro else clock.rfc3339(moment)


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def _bytes(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    if value.__class__ is not str:
        raise walk.mismatch(type, value, path)
    text = value.replace("\n", "").replace("\r", "") if "\n" in value or "\r" in value else value
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        odd = _NOT_BASE64.search(text.rstrip("="))
        position = odd.start() if odd else len(text.rstrip("=")) // 4 * 4
        raise DecodeError(f"illegal base64 data at input byte {position}") from None
    return text


def _any(type: Type, value: Any, path: Path | None, walk: Walk) -> Any:
    return value


_DECODERS: dict[str, Decoder] = {
    types.STRUCT: _struct, types.MAP: _map, types.LIST: _list, types.STRING: _wrong, types.BOOLEAN: _wrong,
    types.INTEGER: _integer, types.NUMBER: _number, types.INT_OR_STRING: _int_or_string, types.QUANTITY: _quantity,
    types.TIME: _time, types.MICRO_TIME: _time, types.BYTES: _bytes, types.ANY: _any,
}


def _keys(path: Path | None) -> list[str | int]:
    keys: list[str | int] = []
    while path is not None:
        path, key = path
        keys.append(key)
    return keys[::-1]


def _shown(path: Path) -> str:
    """``spec.containers[0].image``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in _keys(path))
    return text.removeprefix(".")


def _json_kind(value: Any, literal: bool) -> str:
    """Go's word for a JSON value; where a number was wanted, the number that does not fit is shown."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {orjson.dumps(value).decode()}" if literal else "number"
    if value is None:
        return "null"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
