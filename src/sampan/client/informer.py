"""A cache of one kind of object, filled by a list and kept fresh by a watch.

List, then watch from the list's revision.  A watch that ends is taken up again from the last revision seen (bookmarks
move that on while nothing happens); a revision that is too old (410) means to list again, and the difference to
the cache is told as if the events had come.  What survives the gap is always the state, never a lost event.

Upstream: ``client-go/tools/cache`` (reflector, store, shared_informer).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, cast

from sampan.api.errors import ApiError, Expired
from sampan.api.resources import Resource
from sampan.client.rest import Client, Object

log = logging.getLogger(__name__)

#: Called with (old, new): old is None for a new object, new is None for a deleted one.
ChangeHandler = Callable[[Object | None, Object | None], None]
#: Methods called ``list`` hide the builtin in their class's annotations.
Objects = list[Object]

IndexFunction = Callable[[Object], list[str]]

MIN_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 3.0
PAGE_SIZE = 500  # decoding a page must not hold the event loop up
#: No fault of the revision's; the watch can go on from it once the server is well again.
_PASSING = frozenset({429, 500, 502, 503})


class Informer:
    """Read it like a dict that changes between two awaits. The objects are shared: never change one."""

    def __init__(
        self, client: Client, resource: Resource, namespace: str | None = None, *, label_selector: str = "",
        field_selector: str = "", sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        self.resource = resource
        self.resource_version = ""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._sleep = sleep
        self._objects: dict[str, Object] = {}
        self._indexes: dict[str, _Index] = {"namespace": _Index(_by_namespace)}
        self._handlers: list[ChangeHandler] = []
        self._listed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # reading

    def get(self, key: str) -> Object | None:
        """``key`` is ``namespace/name``, or ``name`` for what has no namespace."""
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        return list(self._objects.values()) if namespace is None else self.by_index("namespace", namespace)

    def by_index(self, name: str, value: str) -> Objects:
        return list(self._indexes[name].entries.get(value, _EMPTY).values())

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def has_synced(self) -> bool:
        return self._listed.is_set()

    # wiring

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Index by the values that ``function(obj)`` returns. Adding the same name again replaces the index."""
        index = _Index(function)
        for key, obj in self._objects.items():
            index.add(key, obj)
        self._indexes[name] = index

    def on_change(self, handler: ChangeHandler) -> None:
        """Call ``handler`` after each change of the cache, in order. What is there already is told as new, at once."""
        self._handlers.append(handler)
        for obj in list(self._objects.values()):
            _tell(handler, None, obj)

    async def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer {self.resource.group_resource}")

    async def synced(self) -> None:
        """Wait for the first list to be in the cache."""
        await self._listed.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # the loop

    async def _run(self) -> None:
        backoff = MIN_BACKOFF_SECONDS
        while True:
            before = self.resource_version
            try:
                await self._list_and_watch()
            except ApiError as error:
                # Of a server that stays away it is said once, not at every try.
                expected = isinstance(error, Expired) or backoff > MIN_BACKOFF_SECONDS
                level = logging.DEBUG if expected else logging.WARNING
                log.log(level, "list or watch failed resource=%s error=%s", self.resource.group_resource, error)
                if error.code not in _PASSING:
                    self.resource_version = ""  # too old, or of another life of the server: list again
            except Exception:
                log.exception("list or watch failed resource=%s", self.resource.group_resource)
            if self.resource_version and self.resource_version != before:
                backoff = MIN_BACKOFF_SECONDS  # the server is well
                continue
            # Without anything learnt, even a watch that ended cleanly must not spin.
            await self._sleep(backoff * (1 + random.random()))
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _list_and_watch(self) -> None:
        if not self.resource_version:
            await self._list()
        watch = cast(
            AsyncGenerator[tuple[str, Object], None],
            self._client.watch(
                self.resource, self._namespace, label_selector=self._label_selector,
                field_selector=self._field_selector, resource_version=self.resource_version,
            ),
        )
        async with aclosing(watch) as events:
            async for kind, obj in events:
                self._apply(kind, obj)

    async def _list(self) -> None:
        items: list[Object] = []
        continue_ = ""
        while True:
            page = await self._client.list(
                self.resource, self._namespace, label_selector=self._label_selector,
                field_selector=self._field_selector, limit=PAGE_SIZE, continue_=continue_,
            )
            items += page.get("items") or ()
            continue_ = page["metadata"].get("continue", "")
            if not continue_:
                break
        self._replace(items)
        self.resource_version = page["metadata"]["resourceVersion"]
        self._listed.set()

    def _replace(self, items: Objects) -> None:
        fresh = {_key(obj): self._typed(obj) for obj in items}
        for key in [key for key in self._objects if key not in fresh]:
            self._change(key, None)
        for key, obj in fresh.items():
            old = self._objects.get(key)
            if old is None or old["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._change(key, obj)

    def _apply(self, kind: str, obj: Object) -> None:
        if kind == "DELETED":
            self._change(_key(obj), None, last=self._typed(obj))
        elif kind != "BOOKMARK":
            self._change(_key(obj), self._typed(obj))
        self.resource_version = obj["metadata"]["resourceVersion"]

    def _change(self, key: str, new: Object | None, last: Object | None = None) -> None:
        """Put ``new`` into the cache, or take the object out; ``last`` is its state at deletion, if known."""
        old = self._objects.get(key)
        if old is not None and new is not None and old["metadata"].get("uid") != new["metadata"].get("uid"):
            self._change(key, None)  # deleted and created again in a gap: two objects, not one that changed
            old = None
        if old is None and new is None:
            return
        if old is not None:
            for index in self._indexes.values():
                index.remove(key, old)
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
            for index in self._indexes.values():
                index.add(key, new)
        for handler in self._handlers:
            _tell(handler, last or old, new)

    def _typed(self, obj: Object) -> Object:
        """Upstream's lists leave kind and apiVersion out of their items; owners and events need them."""
        if "kind" not in obj:
            obj["kind"], obj["apiVersion"] = self.resource.kind, self.resource.api_version
        return obj


class Informers:
    """The informers of one process: whoever asks for the same resource, namespace and selectors shares one cache."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[str, str, str | None, str, str], Informer] = {}
        self._started = False
        self._late: set[asyncio.Task[None]] = set()

    def informer(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = ""
    ) -> Informer:
        """After ``start`` a new informer starts at once."""
        key = (resource.api_version, resource.plural, namespace, label_selector, field_selector)
        informer = self._informers.get(key)
        if informer is None:
            informer = Informer(
                self._client, resource, namespace, label_selector=label_selector, field_selector=field_selector
            )
            self._informers[key] = informer
            if self._started:
                task = asyncio.get_running_loop().create_task(informer.start())
                self._late.add(task)
                task.add_done_callback(self._late.discard)
        return informer

    async def start(self) -> None:
        self._started = True
        for informer in list(self._informers.values()):
            await informer.start()

    async def synced(self) -> None:
        for informer in list(self._informers.values()):
            await informer.synced()

    async def close(self) -> None:
        self._started = False
        await asyncio.gather(*(informer.close() for informer in self._informers.values()))


class _Index:
    __slots__ = ("entries", "function")

    def __init__(self, function: IndexFunction) -> None:
        self.function = function
        self.entries: dict[str, dict[str, Object]] = {}

    def add(self, key: str, obj: Object) -> None:
        for value in self.function(obj):
            self.entries.setdefault(value, {})[key] = obj

    def remove(self, key: str, obj: Object) -> None:
        for value in self.function(obj):
            entry = self.entries.get(value)
            if entry is not None:
                entry.pop(key, None)
                if not entry:
                    del self.entries[value]


_EMPTY: dict[str, Object] = {}


def _by_namespace(obj: Object) -> list[str]:
    return [obj["metadata"].get("namespace", "")]


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else cast(str, metadata["name"])


def _tell(handler: ChangeHandler, old: Object | None, new: Object | None) -> None:
    # One broken handler must stop neither the cache nor the other handlers.
    try:
        handler(old, new)
    except Exception:
        log.exception("change handler failed handler=%s", getattr(handler, "__qualname__", handler))
