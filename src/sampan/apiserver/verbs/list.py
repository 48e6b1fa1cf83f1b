"""GET of a collection: a join of stored bytes.

Without selectors and transformations nothing is decoded: each stored object only gets its revision spliced in, and the
answer leaves in slices, so that a list of 5,000 pods neither blocks the loop nor exists twice in memory.

``resourceVersion`` may ask for "not older than" (always true here: we read the newest) or, with
``resourceVersionMatch=Exact``, for a past state.  ``limit`` cuts pages; ``continue`` goes on in the first page's state.

Upstream: ``endpoints/handlers/get.go``, ``registry/generic/registry/store.go``, ``storage/etcd3/store.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from sampan.api.errors import BadRequest, Expired
from sampan.api.http import Response
from sampan.api.resources import Resource
from sampan.apiserver import continue_token, options, table
from sampan.apiserver.call import Call
from sampan.apiserver.continue_token import ContinueToken
from sampan.apiserver.joined_lists import SLICE, join
from sampan.apiserver.negotiation import JSON, PROTOBUF, Output
from sampan.apiserver.objects import decode, too_large
from sampan.apiserver.respond import dict_response, partial_metadata, wants_indent
from sampan.apiserver.selection import Selection, selection
from sampan.store.base import Entry, Page

Object = dict[str, Any]

#: With selectors, pages are read from the store in at least this size until ``limit`` objects match.
SCAN = 500


@dataclass(frozen=True, slots=True)
class ListOptions:
    """``revision`` 0 is now; ``after`` is the key, relative to the prefix, that the page starts behind."""

    limit: int = 0
    revision: int = 0
    after: str = ""
    token: ContinueToken | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """What was found. ``more`` is the continue token, ``remaining`` None when unknown (selectors)."""

    entries: Sequence[Entry]
    revision: int
    more: str = ""
    remaining: int | None = None

    def metadata(self) -> Object:
        out: Object = {"resourceVersion": str(self.revision)}
        if self.more:
            out["continue"] = self.more
            if self.remaining is not None:
                out["remainingItemCount"] = self.remaining
        return out


async def list_(call: Call) -> Response:
    """Raises: BadRequest, Expired, Timeout."""
    output = call.output()
    chosen = selection(call)
    wanted = list_options(call)
    listed = await find(call, chosen, wanted)
    if output.transform or output.media != JSON or call.kind.converted or wants_indent(call.request):
        if output.media == PROTOBUF and not output.transform:
            from sampan.apiserver import protobuf_answer

            return Response(200, {"Content-Type": PROTOBUF}, await protobuf_answer.listing(
                call.resource, listed.metadata(), listed.entries))
        return _transformed(call, listed, output)
    head = _head(call.resource, listed.metadata())
    if len(listed.entries) <= SLICE:
        return Response(200, {"Content-Type": JSON}, head + join(listed.entries) + b"]}")
    whole = chosen.everything and not wanted.limit  # others' entries are never seen again
    pieces = call.server.joined_lists.pieces(listed.entries, keep=whole)
    return Response(200, {"Content-Type": JSON}, _stream(head, pieces))


def list_options(call: Call) -> ListOptions:
    """Of the query, checked. Raises: BadRequest, Timeout."""
    request = call.request
    if not request.query:
        return ListOptions()
    limit = options.integer("limit", request.param("limit")) or 0
    match, version = request.param("resourceVersionMatch"), request.param("resourceVersion")
    revision, token = options.revision(version), request.param("continue")
    if token:
        if match:
            raise BadRequest("resourceVersionMatch is forbidden when continue is provided")
        if revision:
            raise BadRequest("specifying resource version is not allowed when using continue")
        return _from_token(continue_token.decode(token), limit)
    _check_match(match, version)
    current = call.server.objects.store.revision
    if revision > current:
        raise too_large(revision, current)
    exact = match == "Exact" or (limit > 0 and not match and revision > 0)
    return ListOptions(limit, revision if exact else 0)


def _check_match(match: str, version: str) -> None:
    if not match:
        return
    if not version:
        raise BadRequest("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if match not in ("Exact", "NotOlderThan"):
        raise BadRequest(f'resourceVersionMatch: Unsupported value: "{match}": supported values: "Exact", '
                         '"NotOlderThan", ""')
    if match == "Exact" and version == "0":
        raise BadRequest('resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for '
                         'resourceVersion "0"')


def _from_token(token: ContinueToken, limit: int) -> ListOptions:
    return ListOptions(limit, max(token.revision, 0), token.after, token)


async def find(call: Call, chosen: Selection, wanted: ListOptions) -> Listed:
    """The entries to answer with. Raises: Expired."""
    try:
        if chosen.name is not None and not wanted.limit and not wanted.revision:
            return await _find_one(call, chosen, chosen.name)
        if chosen.everything:
            return _listed(call, await _page(call, wanted, wanted.limit), wanted)
        return await _scan(call, chosen, wanted)
    except Expired as error:
        if wanted.token is not None:
            raise continue_token.expired(wanted.token) from error
        raise


async def _find_one(call: Call, chosen: Selection, name: str) -> Listed:
    """``fieldSelector=metadata.name=x``: one key, if the namespace is known; else a scan."""
    if call.resource.namespaced and not call.namespace:
        return await _scan(call, chosen, ListOptions())
    revision = call.server.objects.store.revision
    entry = await call.server.objects.find(call.resource, name, call.namespace) if name else None
    entries = [entry] if entry is not None and chosen.matches(decode(call.resource, entry)) else []
    return Listed(entries, max([revision, *(found.revision for found in entries)]))


async def _page(call: Call, wanted: ListOptions, limit: int) -> Page:
    prefix = call.resource.storage_prefix(call.namespace)
    after = prefix + wanted.after if wanted.after else ""
    return await call.server.objects.page(
        call.resource, call.namespace, revision=wanted.revision, limit=limit, after=after
    )


def _listed(call: Call, page: Page, wanted: ListOptions) -> Listed:
    if not wanted.limit or not page.remaining:
        return Listed(page.entries, page.revision)
    return Listed(page.entries, page.revision, _token(call, page.entries[-1], page.revision, wanted), page.remaining)


def _token(call: Call, last: Entry, revision: int, wanted: ListOptions) -> str:
    inconsistent = wanted.token is not None and wanted.token.revision == continue_token.LATEST
    after = last.key.removeprefix(call.resource.storage_prefix(call.namespace))
    return ContinueToken(continue_token.LATEST if inconsistent else revision, after).encode()


async def _scan(call: Call, chosen: Selection, wanted: ListOptions) -> Listed:
    """Page through the store in one consistent state until enough objects match or there are no more."""
    found: list[Entry] = []
    prefix = call.resource.storage_prefix(call.namespace)
    while True:
        page = await _page(call, wanted, max(wanted.limit, SCAN) if wanted.limit else 0)
        for position, entry in enumerate(page.entries):
            if position % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            if not chosen.matches(decode(call.resource, entry)):
                continue
            found.append(entry)
            if len(found) == wanted.limit and (page.remaining or position + 1 < len(page.entries)):
                return Listed(found, page.revision, _token(call, entry, page.revision, wanted))
        if not wanted.limit or not page.remaining or not page.entries:
            return Listed(found, page.revision)
        wanted = replace(wanted, revision=page.revision, after=page.entries[-1].key.removeprefix(prefix))


def _head(resource: Resource, metadata: Object) -> bytes:
    return b'{"kind":"%s","apiVersion":"%s","metadata":%s,"items":[' % (
        resource.list_kind.encode(), resource.api_version.encode(), orjson.dumps(metadata)
    )


async def _stream(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in pieces:
        yield piece
    yield b"]}"


def _transformed(call: Call, listed: Listed, output: Output) -> Response:
    objs = [decode(call.resource, entry) for entry in listed.entries]
    metadata = listed.metadata()
    if output.transform == "Table":
        version = metadata.pop("resourceVersion")
        answer = table.of_objects(call, objs, output.version, version, extra=metadata)
    elif output.transform:
        answer = {
            "kind": "PartialObjectMetadataList", "apiVersion": f"meta.k8s.io/{output.version}", "metadata": metadata,
            "items": [partial_metadata(obj, output.version) for obj in objs],
        }
    else:
        resource = call.resource
        answer = {
            "kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata, "items": objs,
        }
    return dict_response(call.request, answer, 200, output)
