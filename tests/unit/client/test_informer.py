from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from sampan.api.errors import Expired
from sampan.api.http import Request, Response, Subject
from sampan.api.resources import PODS
from sampan.client.informer import Informer, Informers
from sampan.client.rest import Client
from sampan.client.transport import InProcess, Unreachable


def pod(name: str, revision: int, uid: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "a", "resourceVersion": str(revision), "uid": uid or f"uid-{name}"}
    return {"metadata": metadata | more}


class PodServer:
    """Serves a list and one watch at a time; the test pushes events."""

    def __init__(self, *pods: dict[str, Any], revision: int = 10) -> None:
        self.pods = list(pods)
        self.revision = revision
        self.lists = 0
        self.watched_from: list[str] = []
        self.down = False
        self.streams: list[asyncio.Queue[bytes | None]] = []
        self.watching = asyncio.Event()

    async def handle(self, request: Request) -> Response:
        if self.down:
            raise Unreachable("down")
        if not request.param("watch"):
            self.lists += 1
            return Response(200, {}, orjson.dumps(
                {"metadata": {"resourceVersion": str(self.revision)}, "items": self.pods}
            ))
        self.watched_from.append(request.param("resourceVersion"))
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.streams.append(stream)
        self.watching.set()
        return Response(200, {}, self._body(stream))

    async def _body(self, stream: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        while (chunk := await stream.get()) is not None:
            yield chunk

    def push(self, kind: str, obj: dict[str, Any]) -> None:
        self.streams[-1].put_nowait(orjson.dumps({"type": kind, "object": obj}) + b"\n")

    def end_watch(self) -> None:
        self.watching.clear()
        self.streams[-1].put_nowait(None)


class Seen:
    def __init__(self, informer: Informer) -> None:
        self.changes: list[str] = []
        self._news = asyncio.Event()
        informer.on_change(self._note)

    def _note(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        sides = [f"{o['metadata']['name']}@{o['metadata']['resourceVersion']}" if o else "-" for o in (old, new)]
        self.changes.append(">".join(sides))
        self._news.set()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(5):
            while len(self.changes) < count:
                self._news.clear()
                await self._news.wait()
        return self.changes


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def server() -> PodServer:
    return PodServer(pod("x", 3), pod("y", 7))


@pytest.fixture
async def informer(server: PodServer) -> AsyncIterator[Informer]:
    informer = Informer(Client(InProcess(server.handle, Subject("me"))), PODS, sleep=no_sleep)
    await informer.start()
    await informer.synced()
    await server.watching.wait()
    yield informer
    await informer.close()


async def test_lists_then_follows(server: PodServer, informer: Informer) -> None:
    seen = Seen(informer)
    assert sorted(seen.changes) == ["->x@3", "->y@7"]
    assert server.watched_from == ["10"]
    seen.changes.clear()
    server.push("ADDED", pod("z", 11))
    server.push("MODIFIED", pod("x", 12))
    server.push("DELETED", pod("y", 13))
    assert await seen.until(3) == ["->z@11", "x@3>x@12", "y@13>-"]
    assert informer.get("a/y") is None
    assert sorted(obj["metadata"]["name"] for obj in informer.list("a")) == ["x", "z"]
    assert informer.get("a/x")["kind"] == "Pod" and informer.get("a/x")["apiVersion"] == "v1"
    assert informer.list("b") == []


async def test_takes_a_watch_up_again_from_the_last_bookmark(server: PodServer, informer: Informer) -> None:
    server.push("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
    await asyncio.sleep(0)
    server.end_watch()
    await asyncio.wait_for(server.watching.wait(), 5)
    assert server.watched_from == ["10", "40"] and server.lists == 1


async def test_lists_again_when_expired_and_tells_the_difference(server: PodServer, informer: Informer) -> None:
    seen = Seen(informer)
    seen.changes.clear()
    server.pods = [pod("y", 7), pod("x", 31), pod("w", 30)]
    server.revision = 50
    server.watching.clear()
    server.push("ERROR", Expired("too old").status)
    await asyncio.wait_for(server.watching.wait(), 5)
    assert server.lists == 2 and server.watched_from == ["10", "50"]
    assert seen.changes == ["x@3>x@31", "->w@30"]


async def test_one_name_two_lives(server: PodServer, informer: Informer) -> None:
    """Deleted and created again while nobody looked: the handlers see both."""
    seen = Seen(informer)
    seen.changes.clear()
    server.push("MODIFIED", pod("x", 20, uid="another"))
    assert await seen.until(2) == ["x@3>-", "->x@20"]


async def test_survives_a_server_that_goes_away(
    server: PodServer, informer: Informer, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen(informer)
    server.down = True
    server.end_watch()
    for _ in range(20):
        await asyncio.sleep(0)
    assert informer.get("a/x") is not None  # stale is better than empty
    assert caplog.text.count("down") <= 1  # said once, not at every try
    server.down = False
    await asyncio.wait_for(server.watching.wait(), 5)
    server.push("DELETED", pod("x", 60))
    await seen.until(3)
    assert informer.get("a/x") is None and server.lists == 1


async def test_indexes_follow_the_objects(server: PodServer, informer: Informer) -> None:
    seen = Seen(informer)
    informer.add_index("by-team", lambda obj: [(obj["metadata"].get("labels") or {}).get("team", "none")])
    assert len(informer.by_index("by-team", "none")) == 2
    server.push("MODIFIED", pod("x", 12, labels={"team": "red"}))
    await seen.until(3)
    assert [obj["metadata"]["name"] for obj in informer.by_index("by-team", "red")] == ["x"]
    assert [obj["metadata"]["name"] for obj in informer.by_index("by-team", "none")] == ["y"]
    server.push("DELETED", pod("x", 13))
    await seen.until(4)
    assert informer.by_index("by-team", "red") == []


async def test_a_broken_handler_harms_nobody(
    server: PodServer, informer: Informer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(old: object, new: object) -> None:
        raise RuntimeError("handler bug")

    informer.on_change(broken)
    seen = Seen(informer)
    server.push("ADDED", pod("z", 11))
    await seen.until(3)
    assert "handler bug" in caplog.text


async def test_informers_are_shared_and_late_ones_start(server: PodServer) -> None:
    informers = Informers(Client(InProcess(server.handle, Subject("me"))))
    pods = informers.informer(PODS)
    assert informers.informer(PODS) is pods
    assert informers.informer(PODS, field_selector="spec.nodeName=n1") is not pods
    await informers.start()
    late = informers.informer(PODS, "a")
    await asyncio.wait_for(informers.synced(), 5)
    assert late.has_synced and len(late) == 2
    await informers.close()
