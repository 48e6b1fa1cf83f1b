"""A client with a small API behind it, in memory: enough for what the kubelet asks, in the running loop's time.

Patches of status are merged as a strategic merge would (conditions by type); deletions are graceful for pods.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from sampan.api import clock
from sampan.api.errors import AlreadyExists, Conflict, NotFound
from sampan.api.resources import Resource

Object = dict[str, Any]
Change = Callable[[], None]


class FakeClient:
    """Pass it where a ``Client`` is wanted. ``requests`` lists ``(verb, plural, name)`` of every write."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.requests: list[tuple[str, str, str]] = []
        self.history: list[tuple[str, Object]] = []  # (event type, object) in order, all resources
        self._now = now
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._watchers: list[tuple[str, str | None, str, asyncio.Queue[tuple[str, Object]]]] = []
        self._revision = 0

    # what tests do

    def put(self, resource: Resource, obj: Object) -> Object:
        """Create or replace, as somebody else would."""
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        meta.setdefault("uid", f"uid-{meta['name']}-{self._revision}")
        key = (resource.plural, meta.get("namespace", ""), meta["name"])
        return self._store(key, obj, "MODIFIED" if key in self._objects else "ADDED")

    def find(self, resource: Resource, name: str, namespace: str = "default") -> Object | None:
        where = namespace if resource.namespaced else ""
        return self._objects.get((resource.plural, where, name))

    def all(self, resource: Resource) -> list[Object]:
        return [o for (plural, _, _), o in self._objects.items() if plural == resource.plural]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until some write makes the condition true."""
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watchers.append(("", None, "", queue))
        while not condition():
            await queue.get()

    # the client's verbs

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str = ""
    ) -> Object:
        await asyncio.sleep(0)
        return copy.deepcopy(self._existing(resource, name, namespace))

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        limit: int = 0, continue_: str = "", resource_version: str = "",
    ) -> Object:
        await asyncio.sleep(0)
        found = [
            o for (plural, _, _), o in self._objects.items()
            if plural == resource.plural and _selected(o, namespace, field_selector)
        ]
        return {"metadata": {"resourceVersion": str(self._revision)}, "items": copy.deepcopy(found)}

    async def watch(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str = "", field_selector: str = "",
        resource_version: str = "", bookmarks: bool = True,
    ) -> AsyncIterator[tuple[str, Object]]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        entry = (resource.plural, namespace, field_selector, queue)
        self._watchers.append(entry)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(entry)

    async def create(
        self, resource: Resource, obj: Object, namespace: str | None = None, *, subresource: str = "", name: str = "",
        field_manager: str = "",
    ) -> Object:
        await asyncio.sleep(0)
        name = name or obj["metadata"].get("name") or f"{obj['metadata'].get('generateName', 'x')}{self._revision}"
        self.requests.append(("create", resource.plural + (f"/{subresource}" if subresource else ""), name))
        if subresource == "token":
            expires = self._now() + obj["spec"]["expirationSeconds"]
            text = f"token-{len(self.requests)}"
            stamp = clock.rfc3339(datetime.fromtimestamp(expires, UTC))
            return {**obj, "status": {"token": text, "expirationTimestamp": stamp}}
        key = (resource.plural, namespace or obj["metadata"].get("namespace", ""), name)
        if key in self._objects:
            raise AlreadyExists.of(resource, name)
        fresh = copy.deepcopy(obj)
        fresh["metadata"] |= {"name": name, "uid": f"uid-{name}-{self._revision}"}
        return copy.deepcopy(self._store(key, fresh, "ADDED"))

    async def update(
        self, resource: Resource, obj: Object, *, subresource: str = "", field_manager: str = ""
    ) -> Object:
        await asyncio.sleep(0)
        meta = obj["metadata"]
        self.requests.append(("update", resource.plural, meta["name"]))
        self._existing(resource, meta["name"], meta.get("namespace"))
        key = (resource.plural, meta.get("namespace", ""), meta["name"])
        return copy.deepcopy(self._store(key, copy.deepcopy(obj), "MODIFIED"))

    async def patch(
        self, resource: Resource, name: str, patch: Object, namespace: str | None = None, *, content_type: str = "",
        subresource: str = "", field_manager: str = "", force: bool = False,
    ) -> Object:
        await asyncio.sleep(0)
        self.requests.append(("patch", resource.plural, name))
        old = self._existing(resource, name, namespace)
        wanted_uid = patch.get("metadata", {}).get("uid")
        if wanted_uid and wanted_uid != old["metadata"]["uid"]:
            raise Conflict.of(resource, name, "the uid in the precondition does not match")
        fresh = _merged(copy.deepcopy(old), patch)
        key = (resource.plural, old["metadata"].get("namespace", ""), name)
        return copy.deepcopy(self._store(key, fresh, "MODIFIED"))

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, *, uid: str = "", resource_version: str = "",
        grace_period_seconds: int | None = None, propagation_policy: str = "",
    ) -> Object:
        await asyncio.sleep(0)
        self.requests.append(("delete", resource.plural, name))
        old = copy.deepcopy(self._existing(resource, name, namespace))
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict.of(resource, name, "the uid in the precondition does not match")
        key = (resource.plural, old["metadata"].get("namespace", ""), name)
        grace = grace_period_seconds
        if resource.plural == "pods" and grace is None:
            grace = old["spec"].get("terminationGracePeriodSeconds", 30)
        if resource.plural == "pods" and grace:
            stamp = clock.rfc3339(datetime.fromtimestamp(self._now() + grace, UTC))
            old["metadata"] |= {"deletionTimestamp": stamp, "deletionGracePeriodSeconds": grace}
            return copy.deepcopy(self._store(key, old, "MODIFIED"))
        del self._objects[key]
        self._revision += 1
        old["metadata"]["resourceVersion"] = str(self._revision)
        self._tell("DELETED", resource.plural, old)
        return old

    async def close(self) -> None:
        return None

    # inside

    def _existing(self, resource: Resource, name: str, namespace: str | None) -> Object:
        found = self._objects.get((resource.plural, namespace or "", name))
        if found is None:
            raise NotFound.of(resource, name)
        return found

    def _store(self, key: tuple[str, str, str], obj: Object, kind: str) -> Object:
        self._revision += 1
        obj["metadata"]["resourceVersion"] = str(self._revision)
        self._objects[key] = obj
        self._tell(kind, key[0], obj)
        return obj

    def _tell(self, kind: str, plural: str, obj: Object) -> None:
        self.history.append((kind, copy.deepcopy(obj)))
        for wanted, namespace, selector, queue in self._watchers:
            if wanted in ("", plural) and _selected(obj, namespace, selector):
                queue.put_nowait((kind, copy.deepcopy(obj)))


def _selected(obj: Object, namespace: str | None, field_selector: str) -> bool:
    if namespace and obj["metadata"].get("namespace") != namespace:
        return False
    for part in filter(None, field_selector.split(",")):
        path, _, value = part.partition("=")
        found: Any = obj
        for step in path.split("."):
            found = (found or {}).get(step)
        if found != value:
            return False
    return True


def _merged(old: Any, patch: Any) -> Any:
    """A strategic merge, as far as pod and node status need it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif key == "conditions":
            by_type = {c["type"]: c for c in result.get(key) or ()}
            for condition in value:
                by_type[condition["type"]] = _merged(by_type.get(condition["type"]), condition)
            result[key] = list(by_type.values())
        elif isinstance(value, list):
            result[key] = [v for v in value if not (isinstance(v, dict) and "$patch" in v)]
        else:
            result[key] = _merged(result.get(key), value)
    return result
