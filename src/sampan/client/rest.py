"""The verbs of the API as methods: objects are plain dicts in and out, refusals are ``ApiError``.

Upstream: ``staging/src/k8s.io/client-go/rest``, ``dynamic``.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sampan.api.errors import ApiError
from sampan.api.http import Events
from sampan.api.resources import Resource
from sampan.client.transport import Query, Reply, Transport

Object = dict[str, Any]

STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

WATCH_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class RawReply:
    """What ``raw`` returns: any status, the body read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """One caller of the API. Cheap; share it freely. Every method raises ``ApiError``; no answer: ``Unreachable``."""

    def __init__(self, transport: Transport, user_agent: str = "sampan") -> None:
        self._transport = transport
        self._headers = {"accept": "application/json", "user-agent": user_agent}

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        return await self._call("GET", _item(resource, name, namespace, subresource))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        limit: int = 0, continue_: str = "", resource_version: str = "",
    ) -> Object:
        """The List object; ``metadata.continue`` is set when ``limit`` left something over."""
        query = _query(
            labelSelector=label_selector, fieldSelector=field_selector, limit=str(limit) if limit else "",
            resourceVersion=resource_version, **{"continue": continue_},
        )
        return await self._call("GET", resource.prefix(namespace), query)

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        resource_version: str = "", bookmarks: bool = True,
    ) -> AsyncIterator[tuple[str, Object]]:
        """``("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK", object)`` until the server ends the watch.

        The server does so after 5 to 10 minutes (so that load spreads out again); watch on from the last revision.
        Raises: Expired when ``resource_version`` is too old, then or later; Unreachable when the connection breaks.
        """
        query = _query(
            watch="true", labelSelector=label_selector, fieldSelector=field_selector, resourceVersion=resource_version,
            allowWatchBookmarks="true" if bookmarks else "",
            timeoutSeconds=str(WATCH_TIMEOUT_SECONDS + random.randrange(WATCH_TIMEOUT_SECONDS)),
        )
        reply = await self._transport.request(
            "GET", resource.prefix(namespace), query=query, headers=self._headers, stream=True
        )
        try:
            if reply.status != 200:
                raise _refusal(reply.status, await reply.read())
            async for batch in reply.events or _events(reply):
                for event in batch:
                    if event[0] == "ERROR":
                        raise ApiError.from_status(event[1])
                    yield event
        finally:
            await reply.close()

    async def create(
        self, resource: Resource, obj: Object, namespace: str | None = None, *, subresource: str = "", name: str = "",
        field_manager: str = "",
    ) -> Object:
        """``subresource`` (``binding``, ``eviction``, ``token``) goes with the ``name`` of its parent."""
        namespace = namespace or _metadata(obj).get("namespace")
        if subresource:
            path = _item(resource, name or _metadata(obj)["name"], namespace, subresource)
        else:
            path = _collection(resource, namespace)
        return await self._call("POST", path, _query(fieldManager=field_manager), orjson.dumps(obj))

    async def update(
        self, resource: Resource, obj: Object, *, subresource: str = "", field_manager: str = ""
    ) -> Object:
        metadata = _metadata(obj)
        path = _item(resource, metadata["name"], metadata.get("namespace"), subresource)
        return await self._call("PUT", path, _query(fieldManager=field_manager), orjson.dumps(obj))

    async def patch(
        self, resource: Resource, name: str, patch: Object | Sequence[Object] | bytes, namespace: str | None = None, *,
        content_type: str = STRATEGIC_MERGE_PATCH, subresource: str = "", field_manager: str = "", force: bool = False,
    ) -> Object:
        """``field_manager`` must be given with ``APPLY_PATCH``; ``force`` takes fields over from other managers."""
        path = _item(resource, name, namespace, subresource)
        query = _query(fieldManager=field_manager, force="true" if force else "")
        body = patch if isinstance(patch, bytes) else orjson.dumps(patch)
        return await self._call("PATCH", path, query, body, content_type)

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = "", resource_version: str = "",
        grace_period_seconds: int | None = None, propagation_policy: str = "",
    ) -> Object:
        """The deleted object, or a ``Status``. ``uid`` and ``resource_version`` are preconditions (Conflict)."""
        options = _delete_options(uid, resource_version, grace_period_seconds, propagation_policy)
        return await self._call("DELETE", _item(resource, name, namespace), (), options)

    async def delete_collection(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        grace_period_seconds: int | None = None, propagation_policy: str = "",
    ) -> Object:
        options = _delete_options("", "", grace_period_seconds, propagation_policy)
        query = _query(labelSelector=label_selector, fieldSelector=field_selector)
        return await self._call("DELETE", _collection(resource, namespace), query, options)

    async def raw(
        self, method: str, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> RawReply:
        """Any path (``/healthz``, ``/version``); never raises for a status."""
        reply = await self._transport.request(
            method, path, query=query, headers=self._headers | dict(headers or {}), body=body
        )
        try:
            return RawReply(reply.status, reply.headers, await reply.read())
        finally:
            await reply.close()

    async def stream(
        self, method: str, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        """As ``raw``, but the body comes in chunks as it is sent (logs). Close the reply."""
        return await self._transport.request(
            method, path, query=query, headers=self._headers | dict(headers or {}), body=body, stream=True
        )

    async def close(self) -> None:
        await self._transport.close()

    async def _call(
        self, method: str, path: str, query: Query = (), body: bytes = b"", content_type: str = "application/json"
    ) -> Object:
        headers = self._headers | {"content-type": content_type} if body else self._headers
        reply = await self._transport.request(method, path, query=query, headers=headers, body=body)
        try:
            answer = await reply.read()
        finally:
            await reply.close()
        if reply.status >= 400:
            raise _refusal(reply.status, answer)
        decoded: Object = orjson.loads(answer)
        return decoded


async def _events(reply: Reply) -> AsyncIterator[Events]:
    """The lines of a watch, decoded."""
    lines = LineDecoder()
    async for chunk in reply:
        yield [(event["type"], event["object"]) for event in map(orjson.loads, lines.feed(chunk))]


class LineDecoder:
    """Cuts a stream into lines, however it was chunked; each byte is copied at most once more."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completed, without their newline; empty lines are left out."""
        lines = chunk.split(b"\n")
        if len(lines) == 1:
            self._parts.append(chunk)
            return []
        if self._parts:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
        tail = lines.pop()
        if tail:
            self._parts.append(tail)
        return [line for line in lines if line]


def _metadata(obj: Object) -> Object:
    metadata: Object = obj.get("metadata") or {}
    return metadata


def _query(**parameters: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in parameters.items() if value]


def _collection(resource: Resource, namespace: str | None) -> str:
    if resource.namespaced and not namespace:
        raise ValueError(f"{resource.plural} are namespaced: a namespace is needed")
    return resource.prefix(namespace)


def _item(resource: Resource, name: str, namespace: str | None, subresource: str = "") -> str:
    if not name or "/" in name:
        raise ValueError(f"not the name of one of the {resource.plural}: {name!r}")
    path = f"{_collection(resource, namespace)}/{name}"
    return f"{path}/{subresource}" if subresource else path


def _delete_options(uid: str, resource_version: str, grace_period_seconds: int | None, policy: str) -> bytes:
    options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
    preconditions = dict(_query(uid=uid, resourceVersion=resource_version))
    if preconditions:
        options["preconditions"] = preconditions
    if grace_period_seconds is not None:
        options["gracePeriodSeconds"] = grace_period_seconds
    if policy:
        options["propagationPolicy"] = policy
    return orjson.dumps(options)


def _refusal(code: int, body: bytes) -> ApiError:
    """The error behind an answer; whatever sits between us and the server may not speak in ``Status`` objects."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return ApiError.from_status(status)
    text = body.decode(errors="replace").strip()[:2048] or "the server gave no reason"
    return ApiError.from_status({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text, "code": code,
    })
