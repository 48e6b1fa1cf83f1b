"""The stored form of an object: compact JSON whose first key is ``metadata``, without a resourceVersion.

The store knows an entry's revision, the bytes do not; so the same bytes stay valid whatever revision they get, and a
GET or LIST makes the wire form by splicing ``"resourceVersion":"N",`` in at a fixed offset, without decoding.
"""

from __future__ import annotations

from typing import Any

import orjson

Object = dict[str, Any]

_HEAD = b'{"metadata":{'
_OFFSET = len(_HEAD)


def to_stored(obj: Object) -> bytes:
    """The bytes to store; ``obj`` is not changed."""
    metadata = obj.get("metadata") or {}
    if "resourceVersion" in metadata:
        metadata = {key: value for key, value in metadata.items() if key != "resourceVersion"}
    return orjson.dumps({"metadata": metadata} | {key: value for key, value in obj.items() if key != "metadata"})


def with_revision(stored: bytes, revision: int) -> bytes:
    """The wire form of stored bytes: they, with ``metadata.resourceVersion``."""
    comma = b"" if stored[_OFFSET:_OFFSET + 1] == b"}" else b","
    return b'%s"resourceVersion":"%d"%s%s' % (_HEAD, revision, comma, stored[_OFFSET:])


def from_stored(stored: bytes, revision: int) -> Object:
    """The object, with ``metadata.resourceVersion``; a fresh dict that the caller may change."""
    obj: Object = orjson.loads(stored)
    obj["metadata"]["resourceVersion"] = str(revision)
    return obj


def fresh_copy(value: Any) -> Any:
    """A copy that shares nothing with ``value``; ten times as quick as ``copy.deepcopy``. JSON values only."""
    return orjson.loads(orjson.dumps(value))
