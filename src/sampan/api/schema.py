"""The schema of every kind: the way to types, to decoding a body into an object, and to the OpenAPI definitions.

``type_for("apps/v1", "Deployment")`` is a ``Type`` (see ``types``); ``decode_body`` makes an object of a request's
bytes, with upstream's field validation; ``definitions`` gives OpenAPI's view, read from the file at each call because
its prose is large and seldom wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from sampan.api import body
from sampan.api import decode as decoding
from sampan.api.decode import DecodeError
from sampan.api.errors import BadRequest, quote
from sampan.api.schema_file import SchemaFile
from sampan.api.types import Type, TypeBuilder

__all__ = ["IGNORE", "STRICT", "WARN", "DecodeError", "Schema", "Type", "decode", "decode_body", "definitions", "load",
           "mistakes_in", "type_for"]

Object = dict[str, Any]
STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


class Schema:
    """All types of one API level. Types are made when first asked for and kept."""

    def __init__(self, file: SchemaFile) -> None:
        self._file = file
        self._builder = TypeBuilder(file.shape)
        self._types: dict[tuple[str, str], Type] = {}

    def type_for(self, api_version: str, kind: str) -> Type:
        """Raises: KeyError for a kind that the schema does not have."""
        found = self._types.get((api_version, kind))
        if found is None:
            name = self._file.name_of(api_version, kind)
            if name is None:
                raise KeyError(f"no schema for {kind} in {api_version}")
            found = self._types[api_version, kind] = self._builder.named(name)
        return found

    def named(self, name: str) -> Type:
        """The type of a definition such as ``io.k8s.api.core.v1.PodTemplateSpec``. Raises: KeyError."""
        return self._builder.named(name)

    def definition_name(self, api_version: str, kind: str) -> str | None:
        """``io.k8s.api.apps.v1.Deployment``, or ``None`` where there is no such kind."""
        return self._file.name_of(api_version, kind)

    def definitions(self, names: Iterable[str], *, version: int) -> dict[str, Any]:
        """The named definitions and all they refer to, as OpenAPI ``version`` 2 or 3 writes them. Not kept."""
        docs = self._file.docs()
        prefix = b'"#/definitions/' if version == 2 else b'"#/components/schemas/'
        found: dict[str, Any] = {}
        waiting = sorted(set(names))
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found[name] = _special(name, orjson.loads(docs[name].replace(b'"#/$defs/', prefix)), version)
            waiting += _references(found[name], prefix[1:].decode())
        return dict(sorted(found.items()))


def _special(name: str, schema: Object, version: int) -> Object:
    """Version 2 has no ``oneOf``, so it calls these two strings."""
    if name == _INT_OR_STRING:
        return ({"type": "string", "format": "int-or-string"} if version == 2
                else schema | {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
    if name == _QUANTITY and version == 2:
        return {key: value for key, value in schema.items() if key != "oneOf"} | {"type": "string"}
    return schema


def _references(schema: Any, prefix: str) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item, prefix)]
    if not isinstance(schema, dict):
        return []
    found = [name for item in schema.values() for name in _references(item, prefix)]
    reference = schema.get("$ref")
    return [*found, reference.removeprefix(prefix)] if isinstance(reference, str) else found


@lru_cache(maxsize=1)
def load() -> Schema:
    """The schema of this version's API level."""
    return Schema(SchemaFile())


def type_for(api_version: str, kind: str) -> Type:
    """Raises: KeyError for a kind that the schema does not have."""
    return load().type_for(api_version, kind)


def definitions(names: Iterable[str], *, version: int) -> dict[str, Any]:
    """OpenAPI definitions by name with everything they refer to; ``version`` is 2 or 3. Read anew at each call."""
    return load().definitions(names, version=version)


def decode(obj: Object, type: Type, *, field_validation: str = WARN) -> tuple[Object, list[str]]:
    """Make a parsed value an object of ``type``, in place; returns it and the warnings.

    Raises: BadRequest, with Go's message, for a wrong type; for an unknown field when validation is ``Strict``.
    """
    return _judged(obj, type, [], field_validation)


def decode_body(data: bytes, type: Type, *, content_type: str = "application/json",
                field_validation: str = WARN) -> tuple[Object, list[str]]:
    """An object of ``type`` from a request's body, and the warnings. Raises: BadRequest."""
    try:
        if body.is_yaml(content_type):
            parsed, mistakes = body.parse_yaml(data)
        else:
            parsed = body.parse_json(data)
            mistakes = [] if field_validation == IGNORE else body.duplicate_fields(data, parsed)
    except body.BodyError as error:
        raise BadRequest(f"the object provided is unrecognized (must be of type {type.short_name}): couldn't get "
                         f"version/kind; json parse error: {error} ({data[:30].hex()})") from None
    return _judged(parsed, type, mistakes, field_validation)


def mistakes_in(obj: Object, type: Type) -> list[str]:
    """Decode in place; returns what strict validation would refuse (``unknown field "spec.foo"``).

    Raises: DecodeError. For patches, which word their refusal in another way.
    """
    return decoding.prune(obj, type)


def _judged(obj: Any, type: Type, mistakes: list[str], field_validation: str) -> tuple[Object, list[str]]:
    try:
        mistakes = mistakes + decoding.prune(obj, type)
    except DecodeError as error:
        raise BadRequest(_cannot_be_handled(obj, type, str(error))) from None
    if mistakes and field_validation == STRICT:
        raise BadRequest(_cannot_be_handled(obj, type, f"strict decoding error: {', '.join(mistakes)}"))
    return obj, mistakes if field_validation == WARN else []


def _cannot_be_handled(obj: Any, type: Type, why: str) -> str:
    claims: Mapping[str, Any] = obj if isinstance(obj, dict) else {}
    kind = claims.get("kind") if isinstance(claims.get("kind"), str) else ""
    version = str(claims.get("apiVersion") or "").rpartition("/")[2]
    if not kind:
        kind, version = type.short_name, type.name.split(".")[-2] if "." in type.name else ""
    return f"{kind} in version {quote(version)} cannot be handled as a {type.short_name}: {why}"
