"""GET with ``watch=1``: a stream of changes, one JSON line (or protobuf frame) each, as long as the client likes.

From which state on?  ``resourceVersion=N``: every change after N; a compacted N answers with an ERROR event of code
410, and the client lists again.  None or ``0``: everything that is there first, as ADDED, then changes.
``sendInitialEvents=true`` asks for that explicitly, with a BOOKMARK that marks the end of the initial events.

Bookmarks tell a client with a rarely changing selection how far the store has come, so that it need not start anew.

Upstream: ``endpoints/handlers/watch.go``, ``storage/cacher``; KEP-956 (bookmarks), KEP-3157 (watch-list).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sampan.api.errors import ApiError, BadRequest, Expired, NotAcceptable
from sampan.api.http import Events, Response
from sampan.apiserver import options, table
from sampan.apiserver.call import Call
from sampan.apiserver.negotiation import JSON, PROTOBUF, Output
from sampan.apiserver.objects import too_large
from sampan.apiserver.respond import partial_metadata
from sampan.apiserver.selection import Selection, selection
from sampan.apiserver.watch_events import ADDED, BOOKMARK, ERROR, SharedEvent, object_frame
from sampan.store.base import Change, Compacted, FutureRevision, Page, StoreUnavailable, Watch

Object = dict[str, Any]
Encode = Callable[[SharedEvent, str], bytes]
Item = TypeVar("Item")
Batch = TypeVar("Batch")

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """``initial``: send what is there first; ``mark_end``: then a bookmark that says so."""

    revision: int
    initial: bool
    mark_end: bool
    bookmarks: bool
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Form(Generic[Item, Batch]):
    """What a watcher takes: how a change of some type becomes an item, any object does, and how items go together."""

    of_change: Callable[[SharedEvent, str], Item]
    of_object: Callable[[str, Object], Item]
    together: Callable[[list[Item]], Batch]


def _value(event: SharedEvent, type_: str) -> tuple[str, Object]:
    return type_, event.shown(type_)


def _labelled(type_: str, obj: Object) -> tuple[str, Object]:
    return type_, obj


#: For callers in this process: nothing is encoded, and all of them get the same decoded objects.
VALUES: Form[tuple[str, Object], Events] = Form(_value, _labelled, list)


async def watch(call: Call) -> Response:
    """Raises: BadRequest, NotAcceptable."""
    output = call.output()
    if output.media not in (JSON, PROTOBUF):
        raise NotAcceptable(f"only the following media types are accepted for a watch: {JSON}, {PROTOBUF}")
    chosen, wanted = selection(call), watch_options(call)
    media = JSON
    if output.media == PROTOBUF:
        from sampan.apiserver import protobuf_answer  # seldom asked for

        media = f"{PROTOBUF};stream=watch"
        protobuf_answer.check(call.resource, output)
    lines = Form(encoder(call, output), partial(frame, call), b"".join)
    response = Response(200, {"Content-Type": media}, _stream(call, chosen, wanted, lines))
    if media == JSON and not output.transform:
        response.events = _stream(call, chosen, wanted, VALUES)
    return response


def watch_options(call: Call) -> WatchOptions:
    """Raises: BadRequest."""
    request = call.request
    version, match = request.param("resourceVersion"), request.param("resourceVersionMatch")
    send, bookmarks = request.param("sendInitialEvents"), options.boolean(request.param("allowWatchBookmarks"))
    if match and not send:
        raise BadRequest("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless "
                         "sendInitialEvents is provided")
    if send and match != "NotOlderThan":
        raise BadRequest("resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch "
                         "to NotOlderThan")
    revision = options.revision(version)
    asked = options.boolean(send) if send else revision == 0
    timeout = options.integer("timeoutSeconds", request.param("timeoutSeconds"))
    least = call.server.config.min_watch_timeout_seconds
    return WatchOptions(
        revision, asked, bool(send) and asked and bookmarks, bookmarks, timeout or least * (1 + random.random())
    )


def encoder(call: Call, output: Output) -> Encode:
    """How events become lines for this client."""
    if output.transform == "Table":
        return _table_encoder(call, output.version)
    if output.media == PROTOBUF:
        from sampan.apiserver import protobuf_answer

        return protobuf_answer.encoder(output)
    if output.transform:
        return lambda event, type_: event.metadata_frame(type_, output.version)
    return SharedEvent.frame


def frame(call: Call, type_: str, obj: Object) -> bytes:
    """An event that is no change: an error, a bookmark."""
    if call.output().media == PROTOBUF:
        from sampan.apiserver import protobuf_answer

        return protobuf_answer.frame(type_, obj)
    return object_frame(type_, obj)


def _table_encoder(call: Call, version: str) -> Encode:
    table.include_object(call)
    first = True

    def encode(event: SharedEvent, type_: str) -> bytes:
        # only the first table carries the column definitions, as kubectl expects
        nonlocal first
        definitions, first = first, False
        obj = event.shown(type_)
        revision = str(event.change.revision)
        return object_frame(type_, table.of_objects(call, [obj], version, revision, definitions=definitions))

    return encode


async def _stream(
    call: Call, chosen: Selection, wanted: WatchOptions, form: Form[Item, Batch]
) -> AsyncIterator[Batch]:
    """The events. Refusals after the head of the response has left become ERROR events."""
    after = wanted.revision
    try:
        if wanted.initial:
            page = await call.server.objects.page(call.resource, call.namespace)
            after = page.revision
            async for batch in _initial(call, chosen, page, form):
                yield batch
            if wanted.mark_end:
                yield form.together([form.of_object(BOOKMARK, bookmark(call, after, initial_events_end=True))])
        async for batch in _changes(call, chosen, after, wanted, form):
            yield batch
    except Compacted:
        error: ApiError = Expired(f"too old resource version: {after} ({_revision(call)})")
        yield form.together([form.of_object(ERROR, error.status)])
    except FutureRevision:
        yield form.together([form.of_object(ERROR, too_large(after, _revision(call)).status)])
    except StoreUnavailable:
        return


def _revision(call: Call) -> int:
    return call.server.objects.store.revision


async def _initial(
    call: Call, chosen: Selection, page: Page, form: Form[Item, Batch]
) -> AsyncIterator[Batch]:
    for start in range(0, len(page.entries), 200):
        items = []
        for entry in page.entries[start:start + 200]:
            event = SharedEvent(Change(entry.key, entry.revision, entry.value, None), call.kind)
            if chosen.everything or chosen.matches(event.now()):
                items.append(form.of_change(event, ADDED))
        if items:
            yield form.together(items)
        await asyncio.sleep(0)


async def _changes(
    call: Call, chosen: Selection, after: int, wanted: WatchOptions, form: Form[Item, Batch]
) -> AsyncIterator[Batch]:
    """Until the client's time is up. Raises: Compacted, FutureRevision."""
    event_of, kind, loop = call.server.events.event, call.kind, asyncio.get_running_loop()
    of_change, together, everything = form.of_change, form.together, chosen.everything
    pause = call.server.config.watch_bookmark_seconds
    async with opened(call, chosen, after, wanted.timeout_seconds) as changes:
        due = loop.time() + pause
        async for batch in changes:
            items = []
            for change in batch:
                event = event_of(change, kind)
                type_ = event.type if everything else event.type_for(chosen)
                if type_ is not None:
                    items.append(of_change(event, type_))
            if items:
                yield together(items)
            elif wanted.bookmarks and (not batch or loop.time() >= due):
                due = loop.time() + pause
                yield together([form.of_object(BOOKMARK, bookmark(call, changes.revision))])


@asynccontextmanager
async def opened(call: Call, chosen: Selection, after: int, timeout_seconds: float) -> AsyncIterator[Watch]:
    """The store's watch; it ends when the time is up. One timer per watch: a timeout per event would cost more."""
    changes = await call.server.objects.store.watch(prefix(call, chosen), after=after)
    loop = asyncio.get_running_loop()
    closing: set[asyncio.Task[None]] = set()
    timer = loop.call_later(timeout_seconds, lambda: closing.add(loop.create_task(changes.close())))
    try:
        yield changes
    finally:
        timer.cancel()
        await changes.close()


def prefix(call: Call, chosen: Selection) -> str:
    """The narrowest prefix that holds all that can match."""
    if chosen.name and (call.namespace or not call.resource.namespaced):
        return call.resource.storage_key(chosen.name, call.namespace)
    return call.resource.storage_prefix(call.namespace)


def bookmark(call: Call, revision: int, *, initial_events_end: bool = False) -> Object:
    """An object of the watched kind with nothing but a resourceVersion."""
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
    resource, output = call.resource, call.output()
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if output.transform == "Table":
        obj = table.of_objects(call, [], output.version, str(revision), definitions=False)
    elif output.transform:
        obj = partial_metadata(obj, output.version)
    return obj
