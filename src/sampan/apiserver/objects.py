"""Objects in the store: keys, entries and the translation of the store's errors into the API's.

Two ways in: ``entry`` and ``page`` hand out stored bytes for answers that need no decoding; ``get_object`` and
``list_objects`` hand out dicts, to admission and to everybody who must look inside.

Upstream: ``staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`` and ``storage/etcd3``.
"""

from __future__ import annotations

from typing import Any

from sampan.api.encoding import from_stored, to_stored
from sampan.api.errors import AlreadyExists, Conflict, Expired, NotFound, ServiceUnavailable, Timeout
from sampan.api.resources import Resource
from sampan.apiserver.kinds.registry import kind_of
from sampan.store.base import (
    Compacted,
    Entry,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    RevisionConflict,
    Store,
    StoreUnavailable,
)

Object = dict[str, Any]

TOO_OLD = "The resourceVersion for the provided list is too old."


class Moved(Exception):
    """The entry changed under a read-modify-write; ``current`` is what it is now (None: it is gone)."""

    def __init__(self, current: Entry | None) -> None:
        super().__init__("the entry changed")
        self.current = current


class Objects:
    """Typed access to one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def find(self, resource: Resource, name: str, namespace: str | None) -> Entry | None:
        try:
            return await self.store.get(resource.storage_key(name, namespace))
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error

    async def entry(self, resource: Resource, name: str, namespace: str | None) -> Entry:
        """Raises: NotFound."""
        found = await self.find(resource, name, namespace)
        if found is None:
            raise NotFound.of(resource, name)
        return found

    async def page(
        self, resource: Resource, namespace: str | None, *, revision: int = 0, limit: int = 0, after: str = ""
    ) -> Page:
        """Raises: Expired, Timeout (a revision that has not happened yet)."""
        prefix = resource.storage_prefix(namespace)
        try:
            return await self.store.list(prefix, revision=revision, limit=limit, after=after)
        except Compacted as error:
            raise Expired(TOO_OLD) from error
        except FutureRevision as error:
            raise too_large(revision, self.store.revision) from error
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error

    async def create(self, resource: Resource, name: str, namespace: str | None, obj: Object) -> Entry:
        """Raises: AlreadyExists."""
        try:
            return await self.store.create(resource.storage_key(name, namespace), encode(resource, obj))
        except KeyExists as error:
            raise AlreadyExists.of(resource, name) from error
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error

    async def replace(self, entry: Entry, resource: Resource, obj: Object) -> Entry:
        """Write ``obj`` over ``entry``. Raises: Moved."""
        try:
            return await self.store.update(entry.key, encode(resource, obj), expected=entry.revision)
        except RevisionConflict as error:
            raise Moved(error.current) from error
        except KeyMissing as error:
            raise Moved(None) from error
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error

    async def remove(self, entry: Entry) -> Entry:
        """Raises: Moved."""
        try:
            return await self.store.delete(entry.key, expected=entry.revision)
        except RevisionConflict as error:
            raise Moved(error.current) from error
        except KeyMissing as error:
            raise Moved(None) from error
        except StoreUnavailable as error:
            raise ServiceUnavailable(str(error)) from error

    async def get_object(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """The object as it is now, or None."""
        found = await self.find(resource, name, namespace)
        return None if found is None else decode(resource, found)

    async def list_objects(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        page = await self.page(resource, namespace)
        return [decode(resource, entry) for entry in page.entries]


def encode(resource: Resource, obj: Object) -> bytes:
    """The bytes to store for an object of this resource's group and version."""
    kind = kind_of(resource)
    return to_stored(kind.to_stored(obj) if kind.converted else obj)


def decode(resource: Resource, entry: Entry) -> Object:
    """A fresh dict in this resource's group and version, with its resourceVersion."""
    obj = from_stored(entry.value, entry.revision)
    kind = kind_of(resource)
    return kind.from_stored(obj) if kind.converted else obj


def too_large(asked: int, current: int) -> Timeout:
    """The 504 for a revision from the future; clients take the cause as a sign to wait and retry."""
    error = Timeout(f"Too large resource version: {asked}, current: {current}", 1)
    error.status["details"]["causes"] = [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    return error


def modified(resource: Resource, name: str) -> Conflict:
    return Conflict.of(resource, name)
