"""JSON patch (RFC 6902): a list of add, remove, replace, move, copy and test, all of which must succeed.

Written here because upstream's library departs from the RFC where clients can tell: negative indexes count from the
end, the whole document can't be replaced, and every failed operation gets the same answer.  What copies may add up to
is bounded, for a patch of copies doubles a document with each line.

Upstream: github.com/evanphx/json-patch as used by apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from sampan.api.encoding import fresh_copy
from sampan.api.errors import BadRequest, Invalid, RequestEntityTooLarge
from sampan.api.types import Type

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 * 1024 * 1024
REFUSED = "the server rejected our request due to an error in our request"


class _Failed(Exception):
    """An operation can't be done; upstream hides the reason from the client."""


def apply(obj: Any, patch: Any, type: Type | None = None) -> Any:
    """The patched object, which shares nothing with ``obj`` or ``patch``. ``type`` is not needed here.

    Raises: BadRequest for what is no patch, Invalid when an operation or a test fails, RequestEntityTooLarge.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise BadRequest("error decoding patch: json: cannot unmarshal the body into Go value of type jsonpatch.Patch")
    if len(patch) > MAX_OPERATIONS:
        raise RequestEntityTooLarge(f"Request entity too large: The allowed maximum operations in a JSON patch is "
                                    f"{MAX_OPERATIONS}, got {len(patch)}")
    document = _Document(fresh_copy(obj))
    try:
        for operation in fresh_copy(patch):
            document.operate(operation)
    except _Failed as error:
        raise Invalid(REFUSED, details={"causes": [{"message": str(error)}]}) from None
    return document.root


class _Document:
    def __init__(self, root: Any) -> None:
        self.root = root
        self.copied_bytes = 0

    def operate(self, operation: Mapping[str, Any]) -> None:
        verb = operation.get("op")
        path = _pointer(operation.get("path"))
        if verb == "add":
            self.add(path, _value(operation))
        elif verb == "remove":
            self.remove(path)
        elif verb == "replace":
            self.get(path)
            self.put(path, _value(operation))
        elif verb == "move":
            self.add(path, self.remove(_pointer(operation.get("from"))))
        elif verb == "copy":
            self.add(path, self.copy(_pointer(operation.get("from"))))
        elif verb == "test":
            self.test(path, operation.get("value"))
        else:
            raise _Failed(f"unexpected kind: {verb}")

    def container(self, path: list[str]) -> Any:
        here = self.root
        for key in path[:-1]:
            here = _item(here, key)
        return here

    def get(self, path: list[str]) -> Any:
        return _item(self.container(path), path[-1])

    def put(self, path: list[str], value: Any) -> None:
        container = self.container(path)
        container[_index(container, path[-1]) if isinstance(container, list) else path[-1]] = value

    def add(self, path: list[str], value: Any) -> None:
        container, key = self.container(path), path[-1]
        if isinstance(container, list):
            container.insert(len(container) if key == "-" else _index(container, key, after_last=True), value)
        elif isinstance(container, dict):
            container[key] = value
        else:
            raise _Failed(f"add operation does not apply: doc is missing path: {'/'.join(['', *path])}")

    def remove(self, path: list[str]) -> Any:
        container, key = self.container(path), path[-1]
        _item(container, key)
        return container.pop(_index(container, key) if isinstance(container, list) else key)

    def copy(self, path: list[str]) -> Any:
        encoded = orjson.dumps(self.get(path))
        self.copied_bytes += len(encoded)
        if self.copied_bytes > MAX_COPIED_BYTES:
            raise _Failed("unable to copy, the accumulated size increase of copy is too large")
        return orjson.loads(encoded)

    def test(self, path: list[str], value: Any) -> None:
        try:
            have = self.get(path)
        except _Failed:
            have = None  # what is missing tests equal to null
        if orjson.dumps(have, option=orjson.OPT_SORT_KEYS) != orjson.dumps(value, option=orjson.OPT_SORT_KEYS):
            raise _Failed(f"testing value {'/'.join(['', *path])} failed")


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or not path.startswith("/"):
        raise _Failed(f"doc is missing path: {path}")
    return [key.replace("~1", "/").replace("~0", "~") for key in path[1:].split("/")]


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise _Failed("missing value")
    return operation["value"]


def _item(container: Any, key: str) -> Any:
    if isinstance(container, dict) and key in container:
        return container[key]
    if isinstance(container, list):
        return container[_index(container, key)]
    raise _Failed(f"doc is missing key: {key}")


def _index(container: list[Any], key: str, after_last: bool = False) -> int:
    """A list index; negative ones count from the end."""
    if not key.lstrip("-").isdecimal():
        raise _Failed(f"invalid array index: {key}")
    size = len(container) + after_last
    index = int(key)
    if not -size <= index < size:
        raise _Failed(f"unable to access invalid index: {index}")
    return index if index >= 0 else index + size
