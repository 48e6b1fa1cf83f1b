"""Memory that follows the store."""

import asyncio

import pytest

from sampan.api.encoding import to_stored
from sampan.api.resources import CONFIGMAPS, PODS, ROLES
from sampan.auth.node import shape
from sampan.auth.objects import StoreObjects
from sampan.store.memory import MemoryStore


def obj(name, namespace="a", **more):
    return {"metadata": {"name": name, "namespace": namespace, "uid": name}, **more}


@pytest.fixture
async def store():
    made = MemoryStore()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def objects(store):
    await store.create(ROLES.storage_key("old", "a"), to_stored(obj("old")))
    made = StoreObjects(store, {ROLES: None, PODS: shape})
    await made.start()
    yield made
    await made.close()


async def changed(objects, resource):
    """The next change, as (old name, new name)."""
    future = asyncio.get_running_loop().create_future()
    objects.on_change(resource, lambda old, new: future.done() or future.set_result((old, new)))
    old, new = await asyncio.wait_for(future, 5)
    return (old or {}).get("metadata", {}).get("name"), (new or {}).get("metadata", {}).get("name")


async def test_what_was_there_is_there_at_once(objects):
    assert objects.get(ROLES, "old", "a")["metadata"]["uid"] == "old"
    assert objects.get(ROLES, "old", "b") is None
    assert [o["metadata"]["name"] for o in objects.list(ROLES, "a")] == ["old"]
    assert objects.list(ROLES, "b") == []


async def test_it_follows_creation_change_and_deletion(objects, store):
    key = ROLES.storage_key("new", "a")
    waiting = asyncio.create_task(changed(objects, ROLES))
    await asyncio.sleep(0)
    entry = await store.create(key, to_stored(obj("new")))
    assert await waiting == (None, "new")
    waiting = asyncio.create_task(changed(objects, ROLES))
    await asyncio.sleep(0)
    entry = await store.update(key, to_stored(obj("new", rules=[1])), expected=entry.revision)
    assert await waiting == ("new", "new") and objects.get(ROLES, "new", "a")["rules"] == [1]
    waiting = asyncio.create_task(changed(objects, ROLES))
    await asyncio.sleep(0)
    await store.delete(key, expected=entry.revision)
    assert await waiting == ("new", None) and objects.get(ROLES, "new", "a") is None


async def test_a_shape_keeps_only_what_is_asked(objects, store):
    waiting = asyncio.create_task(changed(objects, PODS))
    await asyncio.sleep(0)
    pod = obj("web", spec={"nodeName": "n1", "containers": [{"image": "big"}]}, status={"phase": "Running"})
    await store.create(PODS.storage_key("web", "a"), to_stored(pod))
    await waiting
    assert objects.get(PODS, "web", "a") == {
        "kind": "Pod", "metadata": {"name": "web", "namespace": "a", "uid": "web"}, "spec": {"nodeName": "n1"},
        "targets": (("serviceaccounts", "a", "default"),)}


async def test_read_asks_the_store_itself(objects, store):
    await store.create(CONFIGMAPS.storage_key("c", "a"), to_stored(obj("c")))
    assert (await objects.read(CONFIGMAPS, "c", "a"))["metadata"]["name"] == "c"
    assert await objects.read(CONFIGMAPS, "d", "a") is None
