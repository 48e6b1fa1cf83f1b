"""GET with watch: from which state, in which form, under which selection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


class Watcher:
    def __init__(self, body: AsyncGenerator[bytes, None]) -> None:
        self.body = body
        self.events: list[Any] = []

    async def next(self) -> tuple[str, Any]:
        while not self.events:
            chunk = await asyncio.wait_for(anext(self.body), 5)
            self.events += [orjson.loads(line) for line in chunk.splitlines()]
        event = self.events.pop(0)
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(type_, obj["metadata"]["name"]) for type_, obj in events]

    async def close(self) -> None:
        await self.body.aclose()


async def watch(api: Api, query: str, path: str = CONFIGMAPS, **headers: str) -> Watcher:
    response = await api.send("GET", f"{path}?watch=true&{query}", **headers)
    assert response.status == 200
    assert isinstance(response.body, AsyncGenerator)
    return Watcher(response.body)


async def change(api: Api, name: str, patch: Any) -> Any:
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/{name}", patch, content_type="application/merge-patch+json")
    assert answer.status == 200, answer.body
    return answer.json


async def test_every_change_after_a_revision(api: Api) -> None:
    before = await api.configmap("a")
    await api.configmap("b")
    watcher = await watch(api, f"resourceVersion={before['metadata']['resourceVersion']}")
    assert await watcher.names(1) == [("ADDED", "b")]
    changed = await change(api, "b", {"data": {"key": "2"}})
    type_, obj = await watcher.next()
    assert (type_, obj) == ("MODIFIED", changed)
    await api.ask("DELETE", f"{CONFIGMAPS}/b")
    type_, obj = await watcher.next()
    assert (type_, obj["data"]) == ("DELETED", {"key": "2"})
    assert obj["metadata"]["resourceVersion"] == str(api.store.revision)
    await watcher.close()


async def test_without_a_revision_what_is_there_comes_first(api: Api) -> None:
    await api.configmap("a")
    watcher = await watch(api, "")
    assert await watcher.names(1) == [("ADDED", "a")]
    await api.configmap("b")
    assert await watcher.names(1) == [("ADDED", "b")]
    await watcher.close()


async def test_entering_and_leaving_a_selection(api: Api) -> None:
    await api.configmap("a")
    watcher = await watch(api, f"resourceVersion={api.store.revision}&labelSelector=app=web")
    await change(api, "a", {"metadata": {"labels": {"app": "web"}}})
    await change(api, "a", {"data": {"key": "2"}})
    await change(api, "a", {"metadata": {"labels": None}})
    await api.configmap("unseen")
    await api.configmap("b", labels={"app": "web"})
    await api.ask("DELETE", f"{CONFIGMAPS}/b")
    assert await watcher.names(5) == [
        ("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b"), ("DELETED", "b")
    ]
    await watcher.close()


async def test_one_name_only(api: Api) -> None:
    watcher = await watch(api, "resourceVersion=0&fieldSelector=metadata.name=a")
    task = asyncio.create_task(watcher.names(1))
    await asyncio.sleep(0)
    await api.configmap("ab")
    await api.configmap("a")
    assert await task == [("ADDED", "a")]
    await watcher.close()


async def test_a_compacted_revision_is_an_error_event(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.configmap(name)
    await api.store.compact(3)
    watcher = await watch(api, "resourceVersion=1")
    type_, status = await watcher.next()
    assert (type_, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"] == "too old resource version: 1 (3)"


async def test_streaming_list_marks_the_end_of_the_initial_events(api: Api) -> None:
    await api.configmap("a")
    await api.configmap("b")
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    watcher = await watch(api, query)
    assert await watcher.names(2) == [("ADDED", "a"), ("ADDED", "b")]
    type_, obj = await watcher.next()
    assert (type_, obj["kind"]) == ("BOOKMARK", "ConfigMap")
    assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert obj["metadata"]["resourceVersion"] == str(api.store.revision)
    await watcher.close()


async def test_initial_events_need_a_match(api: Api) -> None:
    answer = await api.get(f"{CONFIGMAPS}?watch=1&sendInitialEvents=true")
    assert answer.status == 400


async def test_a_table_watch_defines_its_columns_once(api: Api) -> None:
    watcher = await watch(api, "resourceVersion=0", accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    task = asyncio.create_task(watcher.next())
    await asyncio.sleep(0)
    await api.configmap("a")
    await api.configmap("b")
    _, first = await task
    _, second = await watcher.next()
    assert first["kind"] == second["kind"] == "Table"
    assert first["columnDefinitions"]
    assert not second["columnDefinitions"]
    assert second["rows"][0]["cells"][0] == "b"
    await watcher.close()


async def test_it_ends_when_the_time_is_up(api: Api) -> None:
    response = await api.ask("GET", f"{CONFIGMAPS}?watch=1&timeoutSeconds=1")
    assert response.body == b""


async def test_watchers_share_the_bytes(api: Api) -> None:
    first = await watch(api, "resourceVersion=0")
    second = await watch(api, "resourceVersion=0")
    tasks = [asyncio.create_task(anext(w.body)) for w in (first, second)]
    await asyncio.sleep(0)
    await api.configmap("a")
    one, two = await asyncio.gather(*tasks)
    assert one is two
    for watcher in (first, second):
        await watcher.close()


async def test_progress_is_told_by_bookmarks(api: Api) -> None:
    watcher = await watch(api, "resourceVersion=0&allowWatchBookmarks=true")
    await api.configmap("a")
    assert await watcher.names(1) == [("ADDED", "a")]
    await api.configmap("b")
    assert await watcher.names(1) == [("ADDED", "b")]
    task = asyncio.create_task(watcher.next())
    await asyncio.sleep(0)
    await api.configmap("elsewhere", "other")
    api.store._hub._progress()
    type_, obj = await task
    assert (type_, obj["metadata"]["resourceVersion"]) == ("BOOKMARK", str(api.store.revision))
    await watcher.close()
