"""Port-forward on the wire: TCP connections into a pod over one upgraded connection.

SPDY: for every local connection the client opens a pair of streams with the same ``requestid``: ``error`` for a
message, ``data`` for the bytes.  kubectl from 1.31 on tunnels the same SPDY bytes inside WebSocket messages.  Older
WebSocket clients name their ports in the query and use channels 2i (data) and 2i+1 (error); each channel begins with
its port as two bytes, little-endian.

Upstream: k8s.io/kubelet/pkg/cri/streaming/portforward, KEP-4006.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable

from sampan.api.errors import BadRequest
from sampan.api.http import Request, Response
from sampan.streams.handshake import (
    SPDY_PORT_FORWARD,
    TUNNEL_PORT_FORWARD,
    WEBSOCKET_PORT_FORWARD,
    negotiate,
)
from sampan.streams.session import READ_BYTES, ChannelSession, Pipe, SocketPipe, SpdySession, Stream, WebSocketTunnel

#: Opens a connection to a port inside the pod. Raises: OSError.
Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def serve_port_forward(request: Request, connect: Connect, pod: str) -> Response:
    """Answer 101 and forward connections to the pod until the client is gone; ``pod`` is for messages.

    Raises: BadRequest, Forbidden when no protocol is common or a port is none.
    """
    handshake = negotiate(request, spdy=SPDY_PORT_FORWARD, websocket=WEBSOCKET_PORT_FORWARD)
    tunnelled = handshake.protocol == TUNNEL_PORT_FORWARD
    multiplexed = handshake.transport == "spdy" or tunnelled
    ports = [] if multiplexed else _ports(request)

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe: Pipe = SocketPipe(reader, writer)
        with contextlib.suppress(ConnectionError):
            if multiplexed:
                await _serve_spdy(WebSocketTunnel(pipe) if tunnelled else pipe, connect, pod)
            else:
                await _serve_channels(pipe, ports, connect, pod, base64_text="base64" in handshake.protocol)

    return Response(101, handshake.headers, upgrade=upgrade)


def _ports(request: Request) -> list[int]:
    texts = [t for name, value in request.query if name in ("ports", "port") for t in value.split(",")]
    if not texts:
        raise BadRequest("query parameter \"port\" is required")
    ports = [int(t) if t.isdigit() else 0 for t in texts]
    if not all(0 < port < 65536 for port in ports):
        raise BadRequest(f'unable to parse "{",".join(texts)}" as ports')
    return ports


async def _serve_spdy(pipe: Pipe, connect: Connect, pod: str) -> None:
    session = SpdySession(pipe)
    forwards: set[asyncio.Task[None]] = set()
    waiting: dict[str, dict[str, Stream]] = {}  # request id -> its streams so far
    reading = asyncio.create_task(session.run())
    try:
        while (stream := await session.accept()) is not None:
            request_id = stream.headers.get("requestid", "")
            pair = waiting.setdefault(request_id, {})
            pair[stream.headers.get("streamtype", "")] = stream
            if {"data", "error"} <= pair.keys():
                del waiting[request_id]
                task = asyncio.create_task(_forward(pair["data"], pair["error"], connect, pod))
                forwards.add(task)
                task.add_done_callback(forwards.discard)
    finally:
        await _cancel([reading, *forwards])


async def _serve_channels(pipe: Pipe, ports: list[int], connect: Connect, pod: str, *, base64_text: bool) -> None:
    session = ChannelSession(pipe, 2 * len(ports), base64_text=base64_text)
    reading = asyncio.create_task(session.run())
    forwards = []
    for index, port in enumerate(ports):
        data, error = session.streams[2 * index : 2 * index + 2]
        data.headers["port"] = str(port)
        for stream in (data, error):
            await stream.write(struct.pack("<H", port))
        forwards.append(asyncio.create_task(_forward(data, error, connect, pod)))
    try:
        ended = asyncio.ensure_future(asyncio.wait(forwards))
        await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await session.close()
    finally:
        await _cancel([reading, *forwards])


async def _forward(data: Stream, error: Stream, connect: Connect, pod: str) -> None:
    """One TCP connection, from connect to the last byte of the slower direction."""
    port = data.headers.get("port", "")
    with contextlib.suppress(ConnectionError):
        try:
            reader, writer = await connect(int(port))
        except (OSError, ValueError) as problem:
            await error.write(f"error forwarding port {port} to pod {pod}: {problem}".encode())
        else:
            await _copy(data, reader, writer)
        await error.finish()
        await data.finish()


async def _copy(data: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def upload() -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await data.read():
                writer.write(chunk)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    uploading = asyncio.create_task(upload())
    try:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(READ_BYTES):
                await data.write(chunk)
    finally:
        await _cancel([uploading])
        writer.close()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
