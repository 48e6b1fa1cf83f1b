"""A connected pair of sockets, and clients that speak SPDY and WebSocket over one of them."""

import asyncio
import contextlib
import socket

import orjson

from sampan.streams import spdy, websocket


class Writer:
    """Stands in for the StreamWriter of a process's stdin: keeps what was written."""

    def __init__(self):
        self.data, self.closed = b"", asyncio.Event()

    def write(self, data):
        self.data += data

    async def drain(self):
        pass

    def close(self):
        self.closed.set()


class EchoProcess:
    """Says hello, then waits for the end of its stdin (if any), then says what it read and exits."""

    def __init__(self, *, code=0, stdin=True):
        self.stdin = Writer() if stdin else None
        self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
        self.code, self.closed = code, False
        self.sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self.stdout.feed_data(b"hello ")
        self.stderr.feed_data(b"oops")
        self._task = asyncio.ensure_future(self._run())

    async def _run(self):
        if self.stdin:
            await self.stdin.closed.wait()
            self.stdout.feed_data(self.stdin.data)
        self.stdout.feed_eof()
        self.stderr.feed_eof()

    async def resize(self, width, height):
        self.sizes.put_nowait((width, height))

    async def wait(self):
        await self._task
        return self.code

    async def close(self):
        self.closed = True
        self._task.cancel()


async def open_pair():
    ours, theirs = socket.socketpair()
    return await asyncio.open_connection(sock=ours), await asyncio.open_connection(sock=theirs)


@contextlib.asynccontextmanager
async def upgraded(response):
    """The client's reader and writer after the 101; the server's side runs until the block ends."""
    (reader, writer), server = await open_pair()
    task = asyncio.ensure_future(response.upgrade(*server))
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.wait_for(task, 5)
        server[1].close()
        with contextlib.suppress(ConnectionError):  # a client that leaves early resets the connection
            await server[1].wait_closed()


class SpdyClient:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.spdy = spdy.SpdyConnection(server=False)
        self.ids, self.data, self.finished = {}, {}, set()

    async def open(self, name, headers=None):
        self.ids[name], raw = self.spdy.open_stream({"streamtype": name, **(headers or {})})
        self.writer.write(raw)
        await self.until(lambda: self.ids[name] in self.data)

    def send(self, name, data, finish=False):
        self.writer.write(self.spdy.send_data(self.ids[name], data, finish=finish))

    def got(self, name):
        return self.data[self.ids[name]]

    async def until(self, condition):
        while not condition():
            raw = await asyncio.wait_for(self.reader.read(65536), 5)
            assert raw, "the server hung up"
            for event in self.spdy.receive(raw):
                if isinstance(event, spdy.StreamAccepted):
                    self.data[event.stream_id] = b""
                elif isinstance(event, spdy.DataReceived):
                    self.data[event.stream_id] += event.data
                    if event.finished:
                        self.finished.add(event.stream_id)

    async def until_finished(self, *names):
        await self.until(lambda: all(self.ids[n] in self.finished for n in names))

    def status(self):
        return orjson.loads(self.got("error"))


class WebSocketClient:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.websocket = websocket.WebSocketConnection(server=False)
        self.channels, self.closed = {}, None

    def send(self, channel, data):
        self.writer.write(self.websocket.send(bytes([channel]) + data))

    async def until_closed(self):
        while self.closed is None:
            raw = await asyncio.wait_for(self.reader.read(65536), 5)
            assert raw, "the server hung up without a close frame"
            for event in self.websocket.receive(raw):
                if isinstance(event, websocket.Message):
                    self.channels[event.data[0]] = self.channels.get(event.data[0], b"") + event.data[1:]
                elif isinstance(event, websocket.Closed):
                    self.closed = event.code
