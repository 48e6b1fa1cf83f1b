"""How authentication and authorization see the cluster: a few kinds kept in memory, everything else read live.

A decision must not wait for the disk, so roles, bindings, ServiceAccounts and the outline of Pods are kept in memory
and fed by a watch on the store.  They may be some milliseconds old; where that would refuse somebody wrongly (a token
whose ServiceAccount was created just now) the caller reads the store itself with ``read``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from sampan.api.encoding import from_stored
from sampan.api.meta import key as key_of
from sampan.api.resources import Resource
from sampan.store.base import Change, Compacted, Store, StoreError

log = logging.getLogger(__name__)

Object = dict[str, Any]
Listener = Callable[[Object | None, Object | None], None]
Shape = Callable[[Object], Object]


class Objects(Protocol):
    """What is kept in memory. Objects are never changed by those who read them."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None: ...

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]: ...

    def on_change(self, resource: Resource, listener: Listener) -> None:
        """Call ``listener(old, new)`` on every change from now on; ``None`` stands for "is not there"."""
        ...

    async def read(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """The object as it is in the store now."""
        ...


class StoreObjects:
    """Keeps the resources of ``shapes`` in memory. A shape reduces an object to what is asked of it (None: all)."""

    def __init__(self, store: Store, shapes: Mapping[Resource, Shape | None]) -> None:
        self._store = store
        self._shapes = dict(shapes)
        self._kept: dict[Resource, dict[str, Object]] = {resource: {} for resource in shapes}
        self._listeners: dict[Resource, list[Listener]] = defaultdict(list)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns once everything there is has been read."""
        for resource in self._shapes:
            revision = await self._reload(resource)
            self._tasks.append(asyncio.create_task(self._follow(resource, revision), name=f"auth {resource.plural}"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        return self._kept[resource].get(f"{namespace}/{name}" if resource.namespaced else name)

    def list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        kept = self._kept[resource].values()
        return [o for o in kept if o["metadata"].get("namespace") == namespace] if namespace else list(kept)

    def on_change(self, resource: Resource, listener: Listener) -> None:
        self._listeners[resource].append(listener)

    async def read(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        entry = await self._store.get(resource.storage_key(name, namespace))
        return from_stored(entry.value, entry.revision) if entry else None

    async def _reload(self, resource: Resource) -> int:
        page = await self._store.list(resource.storage_prefix())
        fresh = {}
        for entry in page.entries:
            obj = self._shaped(resource, from_stored(entry.value, entry.revision))
            fresh[key_of(obj)] = obj
        gone = [key for key in self._kept[resource] if key not in fresh]
        for key in gone:
            self._put(resource, key, None)
        for key, obj in fresh.items():
            self._put(resource, key, obj)
        return page.revision

    async def _follow(self, resource: Resource, revision: int) -> None:
        while True:
            try:
                await self._watch(resource, revision)
            except Compacted:
                log.info("watch fell behind resource=%s", resource.group_resource)
            except StoreError as error:
                log.warning("watch ended resource=%s error=%s", resource.group_resource, error)
                await asyncio.sleep(1)
            with contextlib.suppress(StoreError):
                revision = await self._reload(resource)

    async def _watch(self, resource: Resource, revision: int) -> None:
        watch = await self._store.watch(resource.storage_prefix(), after=revision)
        try:
            async for batch in watch:
                self._apply(resource, batch)
        finally:
            await watch.close()

    def _apply(self, resource: Resource, batch: Sequence[Change]) -> None:
        prefix = resource.storage_prefix()
        for change in batch:
            obj = None
            if change.value is not None:
                obj = self._shaped(resource, from_stored(change.value, change.revision))
            self._put(resource, change.key.removeprefix(prefix), obj)

    def _put(self, resource: Resource, key: str, obj: Object | None) -> None:
        kept = self._kept[resource]
        old = kept.pop(key, None)
        if obj is not None:
            kept[key] = obj
        if old is not None or obj is not None:
            for listener in self._listeners[resource]:
                listener(old, obj)

    def _shaped(self, resource: Resource, obj: Object) -> Object:
        shape = self._shapes[resource]
        return shape(obj) if shape else obj
