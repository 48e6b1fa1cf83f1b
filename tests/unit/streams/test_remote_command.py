"""exec and attach over both transports, against a process that echoes its stdin."""

import asyncio

import orjson
import pytest

from sampan.api.errors import BadRequest, Forbidden
from sampan.api.http import Request
from sampan.streams.remote_command import RemoteCommandOptions, serve_remote_command
from tests.unit.streams import connection

ALL = RemoteCommandOptions(stdin=True, stdout=True, stderr=True)


def spdy_request(*protocols):
    return Request("POST", "/exec", headers={
        "connection": "Upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": ", ".join(protocols)})


def websocket_request(*protocols):
    return Request("GET", "/exec", headers={
        "connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13", "sec-websocket-protocol": ",".join(protocols)})


def starting(process):
    async def start():
        if isinstance(process, Exception):
            raise process
        return process

    return start


async def test_spdy_carries_stdin_stdout_stderr_and_the_exit_code():
    process = connection.EchoProcess(code=3)
    response = serve_remote_command(spdy_request("v5.channel.k8s.io", "v4.channel.k8s.io"), ALL, starting(process))
    assert response.status == 101
    assert response.headers["X-Stream-Protocol-Version"] == "v4.channel.k8s.io"
    async with connection.upgraded(response) as ends:
        client = connection.SpdyClient(*ends)
        for name in ("error", "stdin", "stdout", "stderr"):
            await client.open(name)
        client.send("stdin", b"world", finish=True)
        await client.until_finished("error", "stdout", "stderr")
    assert (client.got("stdout"), client.got("stderr")) == (b"hello world", b"oops")
    assert client.status()["reason"] == "NonZeroExitCode"
    assert client.status()["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert process.closed


async def test_websocket_v5_half_closes_stdin():
    process = connection.EchoProcess()
    response = serve_remote_command(websocket_request("v5.channel.k8s.io", "v4.channel.k8s.io"), ALL,
                                    starting(process))
    assert response.headers["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"
    async with connection.upgraded(response) as ends:
        client = connection.WebSocketClient(*ends)
        client.send(0, b"world")
        client.send(255, b"\x00")
        await client.until_closed()
    assert client.channels[1] == b"hello world"
    assert orjson.loads(client.channels[3])["status"] == "Success"
    assert client.closed == 1000


async def test_resize_reaches_a_tty():
    process = connection.EchoProcess()
    options = RemoteCommandOptions(stdin=True, stdout=True, tty=True)
    response = serve_remote_command(websocket_request("v5.channel.k8s.io"), options, starting(process))
    async with connection.upgraded(response) as ends:
        client = connection.WebSocketClient(*ends)
        client.send(4, b'{"Width":80,')
        client.send(4, b'"Height":24}\n{"Width":81,"Height":25}')
        sizes = [await asyncio.wait_for(process.sizes.get(), 5) for _ in range(2)]
        client.send(255, b"\x00")
        await client.until_closed()
    assert sizes == [(80, 24), (81, 25)]


async def test_a_failure_to_start_is_told_on_the_error_channel():
    response = serve_remote_command(websocket_request("v5.channel.k8s.io"), ALL, starting(RuntimeError("no such file")))
    async with connection.upgraded(response) as ends:
        client = connection.WebSocketClient(*ends)
        await client.until_closed()
    status = orjson.loads(client.channels[3])
    assert (status["status"], status["message"]) == ("Failure", "no such file")


async def test_a_client_that_leaves_ends_the_process():
    process = connection.EchoProcess()
    response = serve_remote_command(websocket_request("v5.channel.k8s.io"), ALL, starting(process))
    async with connection.upgraded(response):
        pass
    assert process.closed


@pytest.mark.parametrize(("headers", "error"), [
    ({}, BadRequest),
    ({"connection": "upgrade", "upgrade": "h2c"}, BadRequest),
    ({"connection": "upgrade", "upgrade": "websocket"}, BadRequest),
    ({"connection": "upgrade", "upgrade": "SPDY/3.1", "x-stream-protocol-version": "v9.channel.k8s.io"}, Forbidden),
])
def test_what_cannot_be_agreed_on_is_refused_before_the_upgrade(headers, error):
    with pytest.raises(error):
        serve_remote_command(Request("GET", "/exec", headers=headers), ALL, starting(RuntimeError()))


def test_options_come_from_the_query():
    query = [("command", "sh"), ("stdin", "true"), ("stdout", "1"), ("stderr", "true"), ("tty", "true")]
    assert RemoteCommandOptions.of(Request("GET", "/", query)) == RemoteCommandOptions(True, True, False, True)
