"""Answers in protobuf, for clients that accept nothing else: objects, lists, and watches.

A watch is a sequence of frames: four bytes of length, then a ``WatchEvent`` message without an envelope, whose object
has one.  A list's items are encoded a few at a time, because the loop has others to serve.

Upstream: ``apimachinery/pkg/runtime/serializer/protobuf`` (LengthDelimitedFramer), ``endpoints/handlers/watch.go``.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

from sampan.api.errors import NotAcceptable
from sampan.api.protobuf import table
from sampan.api.protobuf.envelope import raw, seal, wrap
from sampan.api.protobuf.wire import ProtobufError, block
from sampan.api.resources import Resource
from sampan.apiserver.negotiation import JSON, YAML, Output
from sampan.apiserver.objects import decode
from sampan.apiserver.respond import partial_metadata
from sampan.apiserver.watch_events import SharedEvent
from sampan.store.base import Entry

Object = dict[str, Any]

#: So many items of a list are encoded between two turns of the event loop: some 5 ms of Pods.
SLICE = 20
_ITEMS = 2


def whole(obj: Object) -> bytes:
    """Raises: NotAcceptable (a custom resource: nobody knows its numbers)."""
    try:
        return wrap(obj)
    except ProtobufError as error:
        raise _refusal(error) from error


def _refusal(error: ProtobufError) -> NotAcceptable:
    return NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML} ({error})")


async def listing(resource: Resource, metadata: Object, entries: Sequence[Entry]) -> bytes:
    """The list of a resource's objects. Raises: NotAcceptable."""
    try:
        of_list = table.message_of(resource.api_version, resource.list_kind)
        of_item = table.message_of(resource.api_version, resource.kind)
        parts = [raw(of_list, {"metadata": metadata})]
        for start in range(0, len(entries), SLICE):
            parts += [block(_ITEMS, raw(of_item, decode(resource, entry))) for entry in entries[start:start + SLICE]]
            await asyncio.sleep(0)
    except ProtobufError as error:
        raise _refusal(error) from error
    return seal(resource.api_version, resource.list_kind, b"".join(parts))


def check(resource: Resource, output: Output) -> None:
    """Before a watch begins: can its objects be encoded at all? Raises: NotAcceptable."""
    if not output.transform:
        try:
            table.message_of(resource.api_version, resource.kind)
        except ProtobufError as error:
            raise _refusal(error) from error


def encoder(output: Output) -> Callable[[SharedEvent, str], bytes]:
    """How a watch's events become frames."""
    if output.transform:
        return lambda event, type_: frame(type_, partial_metadata(event.shown(type_), output.version))
    return lambda event, type_: frame(type_, event.shown(type_))


def frame(type_: str, obj: Object) -> bytes:
    event = block(1, type_.encode()) + block(2, block(1, wrap(obj)))
    return struct.pack(">I", len(event)) + event
