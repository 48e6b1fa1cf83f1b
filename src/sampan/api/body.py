"""Parses the bytes of a request body: JSON, or YAML turned into what JSON would have said.

Go's decoder notices a key that stands twice in one object; ``orjson`` keeps the last and says nothing.  Looking for
twins costs ten times as much as parsing, so it is done only when the body can hold one: without twins, what was parsed
is as long as the body (clients write compactly), or at least has as many keys as the body.

YAML is read with the safe C loader, with YAML 1.2's reading of numbers (no sexagesimals, no dates), and with a bound
on what aliases may expand to.

Upstream: apimachinery/pkg/runtime/serializer/json, sigs.k8s.io/yaml.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from sampan.api.errors import quote

MAX_MISTAKES = 100


class BodyError(ValueError):
    """The body can't be parsed; the text is Go's."""


def parse_json(data: bytes) -> Any:
    """Raises: BodyError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BodyError(_json_error(error)) from None


def _json_error(error: orjson.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()):
        return "unexpected end of JSON input"
    char = error.doc[error.pos]
    return f"invalid character '{char}' looking for beginning of value" if char.isprintable() else str(error)


def duplicate_fields(data: bytes, parsed: Any) -> list[str]:
    """``duplicate field "spec.replicas"`` for every key that stands twice in one object of the JSON body."""
    try:
        again = orjson.dumps(parsed)
    except orjson.JSONEncodeError as error:  # deeper than 254 levels: it could not be stored either
        raise BodyError("exceeded max depth") from error
    if len(again) == len(data.strip()) or _as_many_keys(data, again):
        return []
    try:
        marked = json.loads(data, object_pairs_hook=_mark_twins)
    except RecursionError:
        raise BodyError("exceeded max depth") from None
    found: list[str] = []
    _collect(marked, "", found)
    return found[:MAX_MISTAKES]


_SPACED_COLONS = (b" :", b"\t:", b"\n:", b"\r:")


def _as_many_keys(data: bytes, again: bytes) -> bool:
    """Counts ``":"`` on both sides: it ends every key, and stands as often in strings here as there.

    Unless the body spells strings with escapes or puts space before a colon: that is rare, and a no costs only time.
    """
    if b"\\u" in data or any(colon in data for colon in _SPACED_COLONS):
        return False
    return data.count(b'":') == again.count(b'":')


class _Twins(dict[str, Any]):
    """An object in which keys stood twice."""

    twins: tuple[str, ...] = ()


def _mark_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    seen: set[str] = set()
    marked = _Twins(plain)
    marked.twins = tuple(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Twins):
        found += [f"duplicate field {quote(f'{path}.{key}'.removeprefix('.'))}" for key in value.twins]
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, f"{path}.{key}", found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)


def parse_yaml(data: bytes) -> tuple[Any, list[str]]:
    """The value, as fresh JSON values, and the mistakes strict validation would refuse. Raises: BodyError."""
    stripped = data.lstrip()
    if stripped.startswith((b"{", b"[")):  # JSON is YAML, and nearly always it is JSON that comes
        try:
            parsed = orjson.loads(data)
            return parsed, duplicate_fields(data, parsed)
        except orjson.JSONDecodeError:
            pass
    from sampan.api.yaml_body import load

    return load(data)


def is_yaml(content_type: str) -> bool:
    """Does the media type say YAML?  ``application/yaml``, ``application/apply-patch+yaml``."""
    return "yaml" in content_type.partition(";")[0]
