"""One connection: what HTTP/1.1 asks of a server, beyond what any client library would notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from sampan.api.http import Request, Response
from sampan.apiserver import connection, messages
from sampan.apiserver.serve import Connections, Serving, start
from tests.unit.apiserver.conftest import Api

Raw = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers with what it was asked; remembers it."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.answer: Callable[[Request], Response] = lambda request: Response(
            200, {"Content-Type": "text/plain"}, f"{request.method} {request.path} ".encode() + request.body)

    async def handle(self, request: Request) -> Response:
        self.asked.append(request)
        return self.answer(request)


@pytest.fixture
def echo(api: Api, monkeypatch: pytest.MonkeyPatch) -> Echo:
    echo = Echo()
    monkeypatch.setattr(api.server, "handle", echo.handle)
    return echo


@pytest.fixture
async def serving(api: Api, echo: Echo) -> AsyncIterator[Serving]:
    serving = await start(api.server, "127.0.0.1", 0, None)
    yield serving
    await serving.close(0.1)


@pytest.fixture
async def raw(serving: Serving) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    yield reader, writer
    writer.close()


async def reply(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    first, *lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode().split("\r\n")[:-2]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return first, headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def test_pipelined_requests_are_answered_in_order(raw: Raw) -> None:
    reader, writer = raw
    writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(100)))
    for number in range(100):
        first, headers, body = await reply(reader)
        assert (first, body) == ("HTTP/1.1 200 OK", b"GET /%d " % number)
        assert headers["content-type"] == "text/plain"
        assert "GMT" in headers["date"]


async def test_a_body_in_chunks_and_in_pieces(raw: Raw) -> None:
    reader, writer = raw
    writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await writer.drain()
    writer.write(b"2\r\nde\r\n0\r\n\r\nPUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n12")
    assert (await reply(reader))[2] == b"POST /a abcde"
    writer.write(b"34")
    assert (await reply(reader))[2] == b"PUT /b 1234"


async def test_a_large_body_comes_whole(raw: Raw, echo: Echo) -> None:
    reader, writer = raw
    sent = b"x" * 1_500_000
    echo.answer = lambda request: Response(200, {}, request.body)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(sent), sent))
    assert (await reply(reader))[2] == sent


async def test_head_tells_the_length_and_sends_nothing(raw: Raw) -> None:
    reader, writer = raw
    writer.write(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b"Content-Length: 8\r\n" in head
    _, headers, body = await reply(reader)
    assert (headers["connection"], body) == ("close", b"GET /b ")
    assert await reader.read() == b""


async def test_a_client_that_waits_to_be_told_to_continue(raw: Raw) -> None:
    reader, writer = raw
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert (await reply(reader))[2] == b"POST / ok"


async def test_what_is_not_http_is_refused_and_the_connection_closed(raw: Raw, echo: Echo) -> None:
    reader, writer = raw
    writer.write(b"hello there\r\n\r\n")
    first, headers, body = await reply(reader)
    assert first == "HTTP/1.1 400 Bad Request"
    assert b'"kind":"Status"' in body
    assert headers["connection"] == "close"
    assert await reader.read() == b""
    assert not echo.asked


async def test_http_1_0_gets_no_chunks_and_is_closed(raw: Raw, echo: Echo) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        yield b""
        yield b"two\n"

    reader, writer = raw
    echo.answer = lambda request: Response(200, {"Content-Type": "text/plain"}, lines())
    writer.write(b"GET /log HTTP/1.0\r\n\r\n")
    head, body = (await asyncio.wait_for(reader.read(), 5)).split(b"\r\n\r\n", 1)
    assert b"chunked" not in head
    assert body == b"one\ntwo\n"


async def test_a_stream_ends_and_the_connection_goes_on(raw: Raw, echo: Echo) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * (2 * connection.PIECE_BYTES + 1)
        yield b"end"

    reader, writer = raw
    echo.answer = lambda request: Response(200, {}, pieces() if request.path == "/stream" else b"next")
    writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    size = int(await reader.readline(), 16)
    assert size == 2 * connection.PIECE_BYTES + 1
    assert await reader.readexactly(size) == b"x" * size
    assert await reader.readexactly(15) == b"\r\n3\r\nend\r\n0\r\n\r\n"[:15]
    assert (await reply(reader))[2] == b"next"


async def test_a_client_that_goes_away_cancels_what_is_done_for_it(serving: Serving, echo: Echo) -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    echo.answer = lambda request: Response(200, {}, endless())
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"first"), 5)
    writer.close()
    await asyncio.wait_for(ended.wait(), 5)


async def test_idle_connections_are_swept(api: Api) -> None:
    loop = asyncio.get_running_loop()
    connections = Connections(api.server, loop, keepalive=0.05)
    server = await loop.create_server(lambda: connection.Connection(connections, loop), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    server.close()
    await connections.close(0.1)


@pytest.mark.parametrize(("response", "expected"), [
    (Response(204, {}), b"HTTP/1.1 204 No Content\r\nDate: "),
    (Response(299, {"A": "b"}), b"HTTP/1.1 299 \r\nA: b\r\nContent-Length: 0\r\nDate: "),
])
def test_heads(response: Response, expected: bytes) -> None:
    assert messages.head(response, 0, close=False).startswith(expected)


def test_nobody_can_smuggle_a_header_into_an_answer() -> None:
    bad: Any = Response(200, {"Warning": '299 - "a"\r\nSet-Cookie: b'})
    with pytest.raises(ValueError, match="line break"):
        messages.head(bad, 0, close=False)
