"""Who controls an object: at most one owner reference says ``controller: true``.

A controller keeps what matches its selector, adopts matching orphans and releases what no longer matches.  Adoption
asks the API first whether the adopter still lives: the cache may be behind, and an object adopted by a dead owner would
be garbage.  Upstream: ``pkg/controller/controller_ref_manager.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.api import meta
from sampan.api.errors import ApiError, NotFound
from sampan.api.resources import Resource
from sampan.client.informer import Informer
from sampan.client.rest import Client

Object = dict[str, Any]
INDEX = "controller-uid"
ORPHANS = "orphans"


def _controller_uid(obj: Object) -> list[str]:
    owner = meta.controller_of(obj)
    return [owner["uid"]] if owner is not None else []


def _orphan_namespace(obj: Object) -> list[str]:
    return [meta.namespace(obj)] if meta.controller_of(obj) is None else []


def add_index(informer: Informer) -> None:
    """Make ``controlled_by`` and ``orphans`` look-ups. A second call changes nothing."""
    informer.add_index(INDEX, _controller_uid)
    informer.add_index(ORPHANS, _orphan_namespace)


def orphans(informer: Informer, namespace: str) -> list[Object]:
    """Those that nobody controls."""
    return informer.by_index(ORPHANS, namespace)


def controlled_by(informer: Informer, owner: Object) -> list[Object]:
    """In the owner's namespace: an owner reference can't reach into another one."""
    namespace = meta.namespace(owner)
    return [obj for obj in informer.by_index(INDEX, meta.uid(owner)) if meta.namespace(obj) == namespace]


async def adopt(client: Client, owner_resource: Resource, owner: Object, resource: Resource,
                candidates: Iterable[Object]) -> list[Object]:
    """Make ``owner`` the controller of each; those that are gone or taken meanwhile are left out."""
    candidates = [orphan for orphan in candidates if not meta.is_deleted(orphan)]
    if not candidates or meta.is_deleted(owner) or not await _still_lives(client, owner_resource, owner):
        return []
    adopted = []
    for orphan in candidates:
        reference = meta.owner_reference(owner)
        patch = {"metadata": {"uid": meta.uid(orphan), "ownerReferences": [reference]}}
        try:
            adopted.append(await client.patch(resource, meta.name(orphan), patch, meta.namespace(orphan)))
        except ApiError as error:
            if error.code not in (404, 409, 422):
                raise
    return adopted


async def _still_lives(client: Client, resource: Resource, owner: Object) -> bool:
    try:
        fresh = await client.get(resource, meta.name(owner), meta.namespace(owner))
    except NotFound:
        return False
    return meta.uid(fresh) == meta.uid(owner) and not meta.is_deleted(fresh)


async def release(client: Client, resource: Resource, obj: Object, owner: Object) -> None:
    """Take ``owner``'s reference off: the object goes its own way."""
    patch = {"metadata": {"uid": meta.uid(obj), "ownerReferences": [{"$patch": "delete", "uid": meta.uid(owner)}]}}
    try:
        await client.patch(resource, meta.name(obj), patch, meta.namespace(obj))
    except ApiError as error:
        if error.code not in (404, 422):  # gone, or another object by now
            raise


def namespace_terminating(error: ApiError) -> bool:
    """Was the write refused only because the namespace is going away?  Then nothing is left to do."""
    causes = ((error.status or {}).get("details") or {}).get("causes") or []
    return error.code == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
