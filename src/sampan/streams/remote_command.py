"""exec and attach on the wire: stdin, stdout, stderr, error and resize of one process over one connection.

The connection is upgraded first and the process started afterwards, so that a failure to start reaches the client on
the error channel, where kubectl looks for it.  The error channel carries a ``Status`` at the end (protocol v4 and
later): Success, or NonZeroExitCode with the code as a cause.

    channel   0 stdin   1 stdout   2 stderr   3 error   4 resize      (WebSocket; SPDY names them in ``streamtype``)

Upstream: k8s.io/kubelet/pkg/cri/streaming/remotecommand, KEP-4006.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from sampan.api.http import Request, Response
from sampan.runtime.base import Process
from sampan.streams.handshake import SPDY_REMOTE_COMMAND, WEBSOCKET_REMOTE_COMMAND, Handshake, negotiate
from sampan.streams.session import READ_BYTES, ChannelSession, SocketPipe, SpdySession, Stream

STREAM_CREATION_TIMEOUT_SECONDS = 30
CLIENT_LEAVES_SECONDS = 2.0  # how long the client may take to close after it has the exit status
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)


@dataclass(frozen=True, slots=True)
class RemoteCommandOptions:
    """Which streams the client asked for in the query (PodExecOptions, PodAttachOptions)."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @classmethod
    def of(cls, request: Request) -> RemoteCommandOptions:
        """From the query; the kubelet's own names (``input``, ``output``, ``error``) are understood as well."""

        def flag(*names: str) -> bool:
            return any(request.param(name).lower() in ("1", "true") for name in names)

        tty = flag("tty")
        return cls(flag("stdin", "input"), flag("stdout", "output"), flag("stderr", "error") and not tty, tty)


@dataclass(slots=True)
class Channels:
    """The streams of one remote command; those that were not asked for are ``None``."""

    error: Stream
    stdin: Stream | None = None
    stdout: Stream | None = None
    stderr: Stream | None = None
    resize: Stream | None = None

    async def finish(self) -> None:
        for stream in (self.stdout, self.stderr, self.error):
            if stream is not None:
                await stream.finish()


Start = Callable[[], Awaitable[Process]]


def serve_remote_command(request: Request, options: RemoteCommandOptions, start: Start) -> Response:
    """Answer 101 and run the process that ``start`` gives over the upgraded connection.

    Raises: BadRequest, Forbidden when no protocol is common.
    """
    handshake = negotiate(request, spdy=SPDY_REMOTE_COMMAND, websocket=WEBSOCKET_REMOTE_COMMAND)

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = SocketPipe(reader, writer)
        serve = _serve_spdy if handshake.transport == "spdy" else _serve_websocket
        with contextlib.suppress(ConnectionError):
            await serve(pipe, handshake, options, start)

    return Response(101, handshake.headers, upgrade=upgrade)


async def _serve_spdy(pipe: SocketPipe, handshake: Handshake, options: RemoteCommandOptions, start: Start) -> None:
    session = SpdySession(pipe)
    reading = asyncio.ensure_future(session.run())
    try:
        async with asyncio.timeout(STREAM_CREATION_TIMEOUT_SECONDS):
            channels = await _accept(session, _expected(handshake, options))
        if channels is not None:
            await _run(channels, handshake, start, reading)
            await _leave(reading)
    except TimeoutError:
        pass  # the client opened too few streams in time: closing the connection tells it
    finally:
        await _cancel(reading)


async def _serve_websocket(
    pipe: SocketPipe, handshake: Handshake, options: RemoteCommandOptions, start: Start
) -> None:
    session = ChannelSession(pipe, 5, base64_text="base64" in handshake.protocol)
    reading = asyncio.ensure_future(session.run())
    streams = session.streams
    channels = Channels(
        error=streams[ERROR],
        stdin=streams[STDIN] if options.stdin else None,
        stdout=streams[STDOUT] if options.stdout else None,
        stderr=streams[STDERR] if options.stderr else None,
        resize=streams[RESIZE] if options.tty else None,
    )

    async def start_and_greet() -> Process:
        # Not before the program runs: client-go reads before it has made its streams, and complains of what it meets.
        process = await start()
        with contextlib.suppress(OSError):  # a client that is gone is noticed by the reader
            await session.greet(STDOUT if options.stdout else STDERR if options.stderr else ERROR)
        return process

    try:
        await _run(channels, handshake, start_and_greet, reading)
        await session.close()
        await _leave(reading)
    finally:
        await _cancel(reading)


def _expected(handshake: Handshake, options: RemoteCommandOptions) -> set[str]:
    """The streams that a SPDY client will open; it waits for our reply to each before it opens the next."""
    wanted = {"error"}
    wanted |= {name for name in ("stdin", "stdout", "stderr") if getattr(options, name)}
    if options.tty and handshake.protocol in ("v4.channel.k8s.io", "v3.channel.k8s.io"):
        wanted.add("resize")
    return wanted


async def _accept(session: SpdySession, expected: set[str]) -> Channels | None:
    streams: dict[str, Stream] = {}
    while set(streams) < expected:
        stream = await session.accept()
        if stream is None:
            return None
        streams[stream.headers.get("streamtype", "")] = stream
    return Channels(**{name: streams[name] for name in expected})


async def _run(channels: Channels, handshake: Handshake, start: Start, reading: asyncio.Future[None]) -> None:
    """Start the process, pump until it ends or the client is gone, report its fate on the error channel."""
    try:
        process = await start()
    except Exception as error:  # whatever went wrong, the client must be told on the channel that it watches
        await _report(channels.error, handshake, failure(str(error)))
        await channels.finish()
        return
    try:
        pumping = asyncio.ensure_future(_pump(channels, process))
        await asyncio.wait((pumping, reading), return_when=asyncio.FIRST_COMPLETED)
        if pumping.done():
            await _report(channels.error, handshake, exit_status(pumping.result()))
            await channels.finish()
        else:
            await _cancel(pumping)
    finally:
        await process.close()


async def _pump(channels: Channels, process: Process) -> int:
    """Copy bytes both ways until the output ends; returns the exit code."""
    inputs = [
        asyncio.ensure_future(_feed(channels.stdin, process)),
        asyncio.ensure_future(_resize(channels.resize, process)),
    ]
    outputs = [_drain(process.stdout, channels.stdout)]
    if process.stderr is not None:
        outputs.append(_drain(process.stderr, channels.stderr))
    try:
        await asyncio.gather(*outputs)
        return await process.wait()
    finally:
        for task in inputs:
            await _cancel(task)


async def _feed(stream: Stream | None, process: Process) -> None:
    if stream is None or process.stdin is None:
        return
    with contextlib.suppress(ConnectionError, OSError):  # the process may close its stdin at any time
        while data := await stream.read():
            process.stdin.write(data)
            await process.stdin.drain()
    process.stdin.close()


async def _drain(source: asyncio.StreamReader, stream: Stream | None) -> None:
    """To the end of the output even where nobody asked for it: a full pipe would stop the process."""
    while data := await source.read(READ_BYTES):
        if stream is not None:
            await stream.write(data)


async def _resize(stream: Stream | None, process: Process) -> None:
    if stream is None:
        return
    async for size in _json_values(stream):
        with contextlib.suppress(OSError):
            await process.resize(int(size.get("Width", 0)), int(size.get("Height", 0)))


async def _json_values(stream: Stream) -> AsyncIterator[dict[str, Any]]:
    """Whole JSON objects out of a stream in which they follow each other."""
    decoder, text = json.JSONDecoder(), ""
    while data := await stream.read():
        text += data.decode("utf-8", "replace")
        while text := text.lstrip():
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            if isinstance(value, dict):
                yield value


def exit_status(code: int) -> dict[str, Any]:
    """The Status that ends a remote command: its exit code, as kubectl turns it into its own."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure(message: str) -> dict[str, Any]:
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


async def _report(error: Stream, handshake: Handshake, status: dict[str, Any]) -> None:
    """v4 and later: the Status itself; before that only the text of a failure."""
    if handshake.protocol.startswith(("v4.", "v5.")):
        await error.write(orjson.dumps(status))
    elif status["status"] != "Success":
        await error.write(str(status["message"]).encode())


async def _leave(reading: asyncio.Future[None]) -> None:
    """Let the client close first: closing a socket with unread input would reset it and lose the last bytes."""
    await asyncio.wait((reading,), timeout=CLIENT_LEAVES_SECONDS)


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
