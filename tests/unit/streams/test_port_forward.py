"""port-forward in its three forms, against a TCP-like peer that answers what it hears in capitals."""

import asyncio
import contextlib

import pytest

from sampan.api.errors import BadRequest
from sampan.api.http import Request
from sampan.streams.port_forward import serve_port_forward
from sampan.streams.session import SocketPipe
from sampan.streams.websocket import Closed, Message, WebSocketConnection
from tests.unit.streams import connection

UPGRADE_WEBSOCKET = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "a2V5",
                     "sec-websocket-version": "13"}
UPGRADE_SPDY = {"connection": "upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": "portforward.k8s.io"}


async def shouting(port):
    """A connection to something that shouts back what it hears until the end of input."""
    if port == 1:
        raise ConnectionRefusedError("connection refused")
    ours, (reader, writer) = await connection.open_pair()

    async def shout():
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data.upper())
        writer.close()

    ours[1].shouting = asyncio.ensure_future(shout())
    return ours


async def open_forward(client, request_id, port):
    for name in ("error", "data"):
        stream_id, raw = client.spdy.open_stream({"streamtype": name, "port": str(port), "requestid": request_id})
        client.ids[f"{name}-{request_id}"] = stream_id
        client.writer.write(raw)
    await client.until(lambda: stream_id in client.data)


async def test_spdy_forwards_several_connections_at_once():
    response = serve_port_forward(Request("POST", "/portForward", headers=UPGRADE_SPDY), shouting, "web")
    async with connection.upgraded(response) as ends:
        client = connection.SpdyClient(*ends)
        for request_id in ("0", "1"):
            await open_forward(client, request_id, 80)
        client.send("data-0", b"a", finish=True)
        client.send("data-1", b"b", finish=True)
        await client.until_finished("data-0", "data-1", "error-0", "error-1")
    assert (client.got("data-0"), client.got("data-1")) == (b"A", b"B")
    assert client.got("error-0") == b""


async def test_a_refused_connection_is_told_on_the_error_stream_and_others_go_on():
    response = serve_port_forward(Request("POST", "/portForward", headers=UPGRADE_SPDY), shouting, "web")
    async with connection.upgraded(response) as ends:
        client = connection.SpdyClient(*ends)
        await open_forward(client, "0", 1)
        await client.until_finished("error-0")
        await open_forward(client, "1", 80)
        client.send("data-1", b"still", finish=True)
        await client.until_finished("data-1")
    assert client.got("error-0") == b"error forwarding port 1 to pod web: connection refused"
    assert client.got("data-1") == b"STILL"


class Tunnelled:
    """The client's end of SPDY inside WebSocket messages, with the reader and writer that SpdyClient wants."""

    def __init__(self, reader, writer):
        self.pipe, self.websocket = SocketPipe(reader, writer), WebSocketConnection(server=False)
        self.writer = writer

    async def read(self, _):
        while True:
            raw = await self.pipe.read()
            events = self.websocket.receive(raw)
            if not raw or any(isinstance(e, Closed) for e in events):
                return b""
            if data := b"".join(e.data for e in events if isinstance(e, Message)):
                return data

    def write(self, data):
        self.writer.write(self.websocket.send(data))


async def test_kubectl_tunnels_spdy_in_websocket():
    headers = {**UPGRADE_WEBSOCKET, "sec-websocket-protocol": "SPDY/3.1+portforward.k8s.io"}
    response = serve_port_forward(Request("GET", "/portForward", headers=headers), shouting, "web")
    assert response.headers["Sec-WebSocket-Protocol"] == "SPDY/3.1+portforward.k8s.io"
    async with connection.upgraded(response) as ends:
        tunnel = Tunnelled(*ends)
        client = connection.SpdyClient(tunnel, tunnel)
        await open_forward(client, "0", 80)
        client.send("data-0", b"through the tunnel", finish=True)
        await client.until_finished("data-0")
    assert client.got("data-0") == b"THROUGH THE TUNNEL"


async def test_channels_begin_with_their_port():
    headers = {**UPGRADE_WEBSOCKET, "sec-websocket-protocol": "v4.channel.k8s.io"}
    request = Request("GET", "/portForward", [("ports", "80"), ("ports", "1")], headers)
    async with connection.upgraded(serve_port_forward(request, shouting, "web")) as ends:
        client = connection.WebSocketClient(*ends)
        client.send(0, b"x")
        while len(client.channels.get(0, b"")) < 3 or len(client.channels.get(3, b"")) < 3:
            for event in client.websocket.receive(await asyncio.wait_for(client.reader.read(1000), 5)):
                client.channels[event.data[0]] = client.channels.get(event.data[0], b"") + event.data[1:]
    assert client.channels[0] == b"\x50\x00X"
    assert client.channels[3].startswith(b"\x01\x00error forwarding port 1")


@pytest.mark.parametrize("query", [[], [("ports", "http")], [("ports", "0")], [("ports", "70000")]])
def test_ports_that_are_none_are_refused(query):
    headers = {**UPGRADE_WEBSOCKET, "sec-websocket-protocol": "v4.channel.k8s.io"}
    with pytest.raises(BadRequest):
        serve_port_forward(Request("GET", "/portForward", query, headers), shouting, "web")
