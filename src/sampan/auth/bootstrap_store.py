"""The first roles of an empty cluster, put straight into the store.

At a first start nobody can be asked and nothing can be refused: the default objects are known to be right.  Written
through the API they would cost a good part of the second that a cluster has to start in; written together into the
store they share one commit.  ``bootstrap.ensure`` takes this client or the ordinary one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sampan.api import clock
from sampan.api.encoding import from_stored, to_stored
from sampan.api.errors import AlreadyExists, Conflict
from sampan.api.meta import name, namespace, resource_version
from sampan.api.resources import NAMESPACES, Resource
from sampan.store.base import KeyExists, RevisionConflict, Store

Object = dict[str, Any]


class StoreClient:
    """Just enough of the API client, without the API. Only for objects that are right as they are."""

    def __init__(self, store: Store, now: Callable[[], datetime] = clock.now) -> None:
        self._store, self._now = store, now

    async def list(self, resource: Resource) -> Object:
        page = await self._store.list(resource.storage_prefix())
        return {"items": [from_stored(entry.value, entry.revision) for entry in page.entries]}

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        """Raises: AlreadyExists."""
        made = obj | {"metadata": {**obj["metadata"], "uid": str(uuid.uuid4()),
                                   "creationTimestamp": clock.rfc3339(self._now())}}
        if resource is NAMESPACES:
            made = _namespace(made)
        try:
            await self._store.create(resource.storage_key(name(made), namespace), to_stored(made))
        except KeyExists as error:
            raise AlreadyExists.of(resource, name(made)) from error
        return made

    async def update(self, resource: Resource, obj: Object) -> Object:
        """Raises: Conflict."""
        key = resource.storage_key(name(obj), namespace(obj) or None)
        try:
            await self._store.update(key, to_stored(obj), expected=int(resource_version(obj)))
        except RevisionConflict as error:
            raise Conflict.of(resource, name(obj)) from error
        return obj

    async def delete(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        entry = await self._store.get(resource.storage_key(name, namespace))
        if entry is None:
            return {}
        await self._store.delete(entry.key, expected=entry.revision)
        return from_stored(entry.value, entry.revision)


def _namespace(obj: Object) -> Object:
    """What the API server would have added."""
    labels = {"kubernetes.io/metadata.name": name(obj)}
    return obj | {"metadata": obj["metadata"] | {"labels": labels}, "spec": {"finalizers": ["kubernetes"]},
                  "status": {"phase": "Active"}}
