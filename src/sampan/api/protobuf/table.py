"""Which number has which field?  The facts of ``fields.txt``, a line a message, parsed when the message is first met.

A line names the message, then its fields as ``name=number[*]kind[mark]``:

    core.v1.EnvVar name=1s! value=2s valueFrom=3EnvVarSource
    core.v1.Volume name=1s! =2VolumeSource

``*`` is a list.  A kind is a message (with its package where that is another one) or one letter: ``s`` string, ``b``
bool, ``i`` int32, ``l`` int64, ``d`` double, ``y`` bytes, ``t`` Time, ``u`` MicroTime, ``q`` Quantity, ``o``
IntOrString, ``r`` RawExtension, ``f`` FieldsV1; ``{s}`` is a map from strings, ``[s]`` a message that only wraps a
list; ``B``, ``A`` and ``S`` are a JSON Schema or else a bool, schemas, strings.  A field without a name is a message
whose fields stand in the parent's JSON object.

Go puts plain values on the wire even when they are zero, pointers only when they are set.  The marks say what a zero
means: ``?`` it was pointed to, so it counts; ``!`` Go's JSON always has this field; none: Go's JSON would omit it.

Upstream: ``generated.proto`` and the tags in ``types.go`` of ``k8s.io/api`` and ``k8s.io/apimachinery``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sampan.api.protobuf.wire import ProtobufError

_META = "meta.v1"
_PACKAGES = {"": "core", "rbac.authorization.k8s.io": "rbac", "flowcontrol.apiserver.k8s.io": "flowcontrol"}
_OF_EVERY_GROUP = ("DeleteOptions", "WatchEvent", "CreateOptions", "UpdateOptions", "PatchOptions")
_FIELD = re.compile(r"([^=]*)=(\d+)(\*?)([^?!]+)([?!]?)")


@dataclass(frozen=True, slots=True)
class Field:
    """``kind`` as in the file, with messages' full names; ``keep``: a zero on the wire is a value."""

    name: str
    number: int
    repeated: bool
    kind: str
    keep: bool

    @property
    def inline(self) -> bool:
        return not self.name


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = Path(__file__).with_name("fields.txt").read_text("ascii")
    return {name: words for name, _, words in (line.partition(" ") for line in text.splitlines())}


def messages() -> list[str]:
    """The names of all known messages."""
    return list(_lines())


def fields(message: str) -> tuple[Field, ...]:
    """In the order of their numbers, which is Go's order on the wire."""
    package = message.rpartition(".")[0]
    return tuple(_field(word, package) for word in _lines()[message].split())


def _field(word: str, package: str) -> Field:
    match = _FIELD.fullmatch(word)
    assert match, word
    name, number, star, kind, mark = match.groups()
    return Field(name, int(number), bool(star), _qualified(kind, package), bool(mark))


def _qualified(kind: str, package: str) -> str:
    if kind[0] in "{[":
        return kind[0] + _qualified(kind[1:-1], package) + kind[-1]
    return kind if len(kind) == 1 or "." in kind else f"{package}.{kind}"


@lru_cache(maxsize=512)
def message_of(api_version: str, kind: str) -> str:
    """The message of a kind: ``core.v1.Pod``. Raises: ProtobufError."""
    group, _, version = api_version.rpartition("/")
    message = f"{_PACKAGES.get(group) or group.removesuffix('.k8s.io')}.{version}.{kind}"
    if message not in _lines() and (api_version == "v1" or kind in _OF_EVERY_GROUP):
        message = f"{_META}.{kind}"
    if message not in _lines():
        raise ProtobufError(f'no protobuf form of kind "{kind}" in version "{api_version}" is known')
    return message
