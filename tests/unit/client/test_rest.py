from __future__ import annotations

import random
from collections.abc import AsyncIterator

import orjson
import pytest

from sampan.api.errors import ApiError, Conflict, Expired, NotFound, ServiceUnavailable
from sampan.api.http import Request, Response, Subject
from sampan.api.resources import CONFIGMAPS, DEPLOYMENTS, NODES, PODS, SERVICEACCOUNTS
from sampan.client.rest import APPLY_PATCH, Client, LineDecoder
from sampan.client.transport import InProcess, Unreachable

ADMIN = Subject("admin", ("system:masters",))


class Server:
    """Answers with what it was told to, and keeps what it was asked."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []

    async def handle(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answers.pop(0) if self.answers else Response(200, {}, b"{}")

    @property
    def line(self) -> str:
        request = self.asked[-1]
        return f"{request.method} {request.path}" + "".join(f" {name}={value}" for name, value in request.query)


def client_of(server: Server) -> Client:
    return Client(InProcess(server.handle, ADMIN))


def refusal(error: ApiError) -> Response:
    return Response(error.code, {}, orjson.dumps(error.status))


async def test_get_names_the_object_and_the_caller() -> None:
    server = Server(Response(200, {}, b'{"kind":"Pod"}'))
    assert await client_of(server).get(PODS, "web", "default") == {"kind": "Pod"}
    assert server.line == "GET /api/v1/namespaces/default/pods/web"
    assert server.asked[0].peer == ADMIN
    assert server.asked[0].headers == {"accept": "application/json", "user-agent": "sampan"}


async def test_paths_and_parameters_of_every_verb() -> None:
    server = Server()
    client = client_of(server)
    web = {"metadata": {"name": "web", "namespace": "a"}}
    await client.list(PODS, label_selector="app=web", limit=5, continue_="abc")
    assert server.line == "GET /api/v1/pods labelSelector=app=web limit=5 continue=abc"
    await client.create(PODS, web, field_manager="me")
    assert server.line == "POST /api/v1/namespaces/a/pods fieldManager=me"
    await client.create(SERVICEACCOUNTS, {"spec": {}}, "a", subresource="token", name="robot")
    assert server.line == "POST /api/v1/namespaces/a/serviceaccounts/robot/token"
    await client.update(DEPLOYMENTS, web, subresource="status")
    assert server.line == "PUT /apis/apps/v1/namespaces/a/deployments/web/status"
    await client.patch(CONFIGMAPS, "x", {"data": {}}, "a", content_type=APPLY_PATCH, field_manager="me", force=True)
    assert server.line == "PATCH /api/v1/namespaces/a/configmaps/x fieldManager=me force=true"
    assert server.asked[-1].headers["content-type"] == APPLY_PATCH
    await client.delete(NODES, "n1", uid="u", grace_period_seconds=0, propagation_policy="Orphan")
    assert server.line == "DELETE /api/v1/nodes/n1"
    assert orjson.loads(server.asked[-1].body) == {
        "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "u"}, "gracePeriodSeconds": 0,
        "propagationPolicy": "Orphan",
    }
    await client.delete_collection(PODS, "a", label_selector="x")
    assert server.line == "DELETE /api/v1/namespaces/a/pods labelSelector=x"


async def test_a_namespaced_object_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="pods are namespaced"):
        await client_of(Server()).get(PODS, "web")
    with pytest.raises(ValueError, match="not the name"):
        await client_of(Server()).delete(NODES, "a/b")


async def test_refusals_become_exceptions() -> None:
    client = client_of(Server(refusal(NotFound.of(PODS, "web")), refusal(Conflict.of(PODS, "web", "no")),
                              Response(503, {}, b"upstream is away\n")))
    with pytest.raises(NotFound, match='pods "web" not found'):
        await client.get(PODS, "web", "a")
    with pytest.raises(Conflict):
        await client.get(PODS, "web", "a")
    with pytest.raises(ServiceUnavailable, match="upstream is away"):
        await client.get(PODS, "web", "a")


async def test_raw_returns_any_status() -> None:
    reply = await client_of(Server(Response(418, {"X-Tea": "pot"}, b"short"))).raw("GET", "/healthz")
    assert (reply.status, reply.headers, reply.body) == (418, {"x-tea": "pot"}, b"short")


def events(*pairs: tuple[str, dict]) -> bytes:
    return b"".join(orjson.dumps({"type": kind, "object": obj}) + b"\n" for kind, obj in pairs)


class Body:
    """A streamed body that knows whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = iter(chunks)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


async def test_watch_yields_events_and_closes_the_stream() -> None:
    stream = events(("ADDED", {"a": 1}), ("BOOKMARK", {"b": "ü"}))
    body = Body(stream[:7], stream[7:50], stream[50:])
    server = Server(Response(200, {}, body))
    watch = client_of(server).watch(PODS, "a", resource_version="5")
    assert [event async for event in watch] == [("ADDED", {"a": 1}), ("BOOKMARK", {"b": "ü"})]
    assert body.closed
    query = dict(server.asked[0].query)
    assert query.pop("timeoutSeconds").isdigit()
    assert query == {"watch": "true", "resourceVersion": "5", "allowWatchBookmarks": "true"}


async def test_watch_raises_expired_at_once_and_on_the_way() -> None:
    gone = Expired("too old resource version: 5 (9)")
    body = Body(events(("ADDED", {}), ("ERROR", gone.status)))
    client = client_of(Server(refusal(gone), Response(200, {}, body)))
    with pytest.raises(Expired):
        await anext(client.watch(PODS))
    watch = client.watch(PODS)
    assert await anext(watch) == ("ADDED", {})
    with pytest.raises(Expired, match="too old"):
        await anext(watch)
    assert body.closed


async def test_a_closed_transport_is_unreachable() -> None:
    client = client_of(Server())
    await client.close()
    with pytest.raises(Unreachable):
        await client.get(NODES, "n")


def test_lines_survive_any_chunking() -> None:
    rng = random.Random(7)
    lines = [b"x" * rng.randrange(1, 40) for _ in range(200)]
    stream = b"\n".join(lines) + b"\n\n"
    for _ in range(50):
        decoder, seen, at = LineDecoder(), [], 0
        while at < len(stream):
            size = rng.choice([1, 2, 3, 50, 500])
            seen += decoder.feed(stream[at: at + size])
            at += size
        assert seen == lines
