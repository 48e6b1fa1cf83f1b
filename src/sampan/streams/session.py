"""Several streams over one connection: drives the sans-I/O protocols with an asyncio connection.

``Pipe`` is the connection itself (a socket, or SPDY bytes tunnelled in WebSocket messages).  ``SpdySession`` accepts
streams that the client opens; ``ChannelSession`` has the fixed channels of the WebSocket subprotocols.  Both hand out
``Stream`` objects, so remote command and port forward are written once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from sampan.streams import spdy, websocket

READ_BYTES = 64 * 1024
QUEUED_CHUNKS = 64  # per stream; then the connection is no longer read, so TCP pushes back on the client
CLOSE_STREAM = 255  # v5.channel.k8s.io: [255, n] half-closes channel n


class Pipe(Protocol):
    """A byte connection. ``read`` returns ``b""`` at its end; ``write`` waits while the peer is slow."""

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


class SocketPipe:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_BYTES)
        except (ConnectionError, OSError):
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class WebSocketTunnel:
    """SPDY bytes inside binary WebSocket messages (subprotocol ``SPDY/3.1+portforward.k8s.io``, KEP-4006)."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._websocket = websocket.WebSocketConnection(server=True)

    async def read(self) -> bytes:
        while chunk := await self._pipe.read():
            data = b""
            for event in self._websocket.receive(chunk):
                if isinstance(event, websocket.Message):
                    data += event.data
                elif isinstance(event, websocket.Ping):
                    await self._pipe.write(event.answer)
                else:
                    return data
            if data:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        await self._pipe.write(self._websocket.send(data))

    async def close(self) -> None:
        await self._pipe.write(self._websocket.close())


class Stream:
    """One direction in, one out. ``read`` returns ``b""`` once the peer has half-closed it or is gone."""

    def __init__(self, headers: dict[str, str], send: Callable[[bytes, bool], Awaitable[None]]) -> None:
        self.headers = headers
        self._send = send
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue(QUEUED_CHUNKS)
        self._ended = False
        self._finished = False

    async def read(self) -> bytes:
        if self._ended:
            return b""
        data = await self._incoming.get()
        self._ended = not data
        return data

    async def write(self, data: bytes) -> None:
        if data and not self._finished:
            await self._send(data, False)

    async def finish(self) -> None:
        """Half-close: the peer reads to the end. A second call does nothing."""
        if not self._finished:
            self._finished = True
            await self._send(b"", True)

    async def feed(self, data: bytes) -> None:
        """For the session: bytes that arrived, ``b""`` for the end."""
        if not self._ended:
            await self._incoming.put(data)

    def abort(self) -> None:
        """For the session: the peer is gone. What was not read yet may be dropped."""
        with contextlib.suppress(asyncio.QueueFull):
            self._incoming.put_nowait(b"")
            return
        self._incoming.get_nowait()
        self._incoming.put_nowait(b"")


class SpdySession:
    """The server's end of a SPDY connection: ``run`` reads until the client is gone, ``accept`` waits for a stream."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._spdy = spdy.SpdyConnection(server=True)
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()

    async def accept(self) -> Stream | None:
        """The next stream that the client opens; ``None`` once the connection is gone."""
        return await self._opened.get()

    async def run(self) -> None:
        try:
            while chunk := await self._pipe.read():
                for event in self._spdy.receive(chunk):
                    await self._handle(event)
        except (spdy.SpdyError, websocket.WebSocketError, ConnectionError):
            pass  # the client broke off or broke the protocol: either way there is nobody left to tell
        finally:
            for stream in self._streams.values():
                stream.abort()
            self._opened.put_nowait(None)

    async def _handle(self, event: spdy.Event) -> None:
        if isinstance(event, spdy.StreamOpened):
            stream = Stream(event.headers, self._sender(event.stream_id))
            self._streams[event.stream_id] = stream
            await self._pipe.write(self._spdy.accept_stream(event.stream_id))
            if event.finished:
                await stream.feed(b"")
            self._opened.put_nowait(stream)
        elif isinstance(event, spdy.DataReceived):
            await self._data(event)
        elif isinstance(event, spdy.StreamReset):
            if event.stream_id in self._streams:
                self._streams.pop(event.stream_id).abort()
        elif isinstance(event, spdy.PingReceived) and event.answer:
            await self._pipe.write(event.answer)

    async def _data(self, event: spdy.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is None:
            return
        if event.data:
            await stream.feed(event.data)
        if event.finished:
            await stream.feed(b"")

    def _sender(self, stream_id: int) -> Callable[[bytes, bool], Awaitable[None]]:
        async def send(data: bytes, finish: bool) -> None:
            await self._pipe.write(self._spdy.send_data(stream_id, data, finish=finish))

        return send


class ChannelSession:
    """The server's end of a WebSocket connection whose messages start with a channel number."""

    def __init__(self, pipe: Pipe, channels: int, *, base64_text: bool = False) -> None:
        self._pipe = pipe
        self._websocket = websocket.WebSocketConnection(server=True)
        self._base64 = base64_text
        self.streams = [Stream({}, self._sender(number)) for number in range(channels)]

    async def run(self) -> None:
        """Read until the client closes or is gone."""
        try:
            while chunk := await self._pipe.read():
                for event in self._websocket.receive(chunk):
                    if isinstance(event, websocket.Closed):
                        return
                    if isinstance(event, websocket.Ping):
                        await self._pipe.write(event.answer)
                    else:
                        await self._message(event.data)
        except websocket.WebSocketError as error:
            with contextlib.suppress(ConnectionError):
                await self._pipe.write(self._websocket.close(error.code, str(error)))
        except ConnectionError:
            pass
        finally:
            for stream in self.streams:
                stream.abort()

    async def close(self) -> None:
        await self._pipe.write(self._websocket.close())

    async def greet(self, channel: int) -> None:
        """An empty message, by which old clients know that the command has started."""
        await self._pipe.write(self._encode(channel, b""))

    async def _message(self, message: bytes) -> None:
        if not message:
            return
        if self._base64:
            channel, data = message[0] - ord("0"), base64.b64decode(message[1:])
        else:
            channel, data = message[0], message[1:]
        if channel == CLOSE_STREAM and data and data[0] < len(self.streams):
            await self.streams[data[0]].feed(b"")
        elif channel < len(self.streams) and data:
            await self.streams[channel].feed(data)

    def _encode(self, channel: int, data: bytes) -> bytes:
        if self._base64:
            return self._websocket.send(bytes([ord("0") + channel]) + base64.b64encode(data), binary=False)
        return self._websocket.send(bytes([channel]) + data)

    def _sender(self, channel: int) -> Callable[[bytes, bool], Awaitable[None]]:
        async def send(data: bytes, finish: bool) -> None:
            if data:  # a channel can't be half-closed by the server: the close of the connection ends them all
                await self._pipe.write(self._encode(channel, data))

        return send
