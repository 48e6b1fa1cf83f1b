"""The in-process transport and the one over a socket give the same answers, from a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sampan.api.errors import AlreadyExists, BadRequest, Conflict, Expired, Invalid, NotFound
from sampan.api.http import Request, Subject
from sampan.api.resources import CONFIGMAPS, NAMESPACES
from sampan.apiserver.app import ApiServer
from sampan.apiserver.config import Config
from sampan.apiserver.serve import listen
from sampan.auth.authorize import Attributes, Decision
from sampan.auth.user import UserInfo
from sampan.client.informer import Informers
from sampan.client.rest import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Client
from sampan.client.transport import Https, InProcess, Unreachable
from sampan.store.sqlite import SqliteStore


class Open:
    """Everybody is let in and may do everything."""

    async def authenticate(self, request: Request) -> UserInfo:
        return UserInfo("admin", groups=("system:masters",))

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "db")
    await store.start()
    yield store
    await store.close()


@pytest.fixture
async def app(store: SqliteStore) -> ApiServer:
    return ApiServer(store, Open(), Open(), Config(), plugins=[])


@pytest.fixture(params=["in-process", "http"])
async def client(request: pytest.FixtureRequest, app: ApiServer) -> AsyncIterator[Client]:
    if request.param == "in-process":
        yield Client(InProcess(app.handle, Subject("admin")))
        return
    serving = await listen(app, ["127.0.0.1"], 0, None)
    client = Client(Https(f"http://127.0.0.1:{serving.port}"))
    yield client
    await client.close()
    await serving.close(0.05)


def configmap(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}, "data": data}


async def test_the_life_of_an_object(client: Client) -> None:
    made = await client.create(CONFIGMAPS, configmap("x", color="red"))
    assert made["metadata"]["uid"] and made["data"] == {"color": "red"}
    assert await client.get(CONFIGMAPS, "x", "a") == made
    with pytest.raises(AlreadyExists, match='configmaps "x" already exists'):
        await client.create(CONFIGMAPS, configmap("x"))
    changed = await client.update(CONFIGMAPS, made | {"data": {"color": "blue"}})
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.update(CONFIGMAPS, made | {"data": {}})
    for kind, patch in ((MERGE_PATCH, {"data": {"n": "1"}}), (JSON_PATCH, [{"op": "remove", "path": "/data/color"}])):
        changed = await client.patch(CONFIGMAPS, "x", patch, "a", content_type=kind)
    assert changed["data"] == {"n": "1"}
    with pytest.raises(Conflict):
        await client.delete(CONFIGMAPS, "x", "a", uid="another")
    await client.delete(CONFIGMAPS, "x", "a", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(CONFIGMAPS, "x", "a")


async def test_apply_and_refusals(client: Client) -> None:
    applied = await client.patch(
        CONFIGMAPS, "y", configmap("y", a="1"), "a", content_type=APPLY_PATCH, field_manager="me"
    )
    assert applied["metadata"]["managedFields"][0]["manager"] == "me"
    with pytest.raises(Invalid, match="Invalid value"):
        await client.create(CONFIGMAPS, configmap("Not_A_Name"))
    with pytest.raises(BadRequest):
        await client.create(CONFIGMAPS, configmap("z") | {"data": 5})


async def test_a_watch_from_a_revision_then_410(client: Client, store: SqliteStore) -> None:
    first = await client.create(NAMESPACES, {"metadata": {"name": "one"}})
    second = await client.create(NAMESPACES, {"metadata": {"name": "two"}})
    watch = client.watch(NAMESPACES, resource_version=first["metadata"]["resourceVersion"])
    async with asyncio.timeout(5):
        kind, seen = await anext(watch)
        assert (kind, seen) == ("ADDED", second)
        await client.delete(NAMESPACES, "two")
        kind, seen = await anext(watch)
    assert kind in ("MODIFIED", "DELETED") and int(seen["metadata"]["resourceVersion"]) == store.revision
    await watch.aclose()
    await store.compact(store.revision)
    with pytest.raises(Expired):
        await anext(client.watch(NAMESPACES, resource_version=first["metadata"]["resourceVersion"]))


async def test_an_informer_follows_through_pages_and_compaction(client: Client, store: SqliteStore) -> None:
    await asyncio.gather(*(client.create(CONFIGMAPS, configmap(f"c{number}")) for number in range(1200)))
    informers = Informers(client)
    informer = informers.informer(CONFIGMAPS)
    changed = asyncio.Event()
    await informers.start()
    async with asyncio.timeout(20):
        await informers.synced()
        assert len(informer) == 1200 and len(informer.list("a")) == 1200
        informer.on_change(lambda old, new: changed.set())
        changed.clear()
        await client.delete(CONFIGMAPS, "c7", "a")
        await changed.wait()
        assert informer.get("a/c7") is None
        await store.compact(store.revision)
        changed.clear()
        made = await client.create(CONFIGMAPS, configmap("new"))
        await changed.wait()
        assert informer.get("a/new") == made
    await informers.close()


async def test_a_client_whose_server_stops(app: ApiServer) -> None:
    serving = await listen(app, ["127.0.0.1"], 0, None)
    client = Client(Https(f"http://127.0.0.1:{serving.port}"))
    await client.create(NAMESPACES, {"metadata": {"name": "one"}})
    watch = client.watch(NAMESPACES)
    async with asyncio.timeout(10):
        await anext(watch)
        await serving.close(0.05)
        with pytest.raises((Unreachable, StopAsyncIteration)):
            await anext(watch)
        with pytest.raises(Unreachable):
            await client.get(NAMESPACES, "one")
        again = await listen(app, ["127.0.0.1"], serving.port, None)
        assert (await client.get(NAMESPACES, "one"))["metadata"]["name"] == "one"
    await client.close()
    await again.close(0.05)
