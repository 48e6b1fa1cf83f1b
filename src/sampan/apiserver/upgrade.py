"""A connection that leaves HTTP: after a 101 its bytes are SPDY's or WebSocket's and pass untouched.

A plain stream protocol is put in the place of the HTTP one, and a reader and writer go to whoever serves the rest.
"""

from __future__ import annotations

import asyncio
import contextlib

from sampan.api.http import Response, Upgrade
from sampan.apiserver.messages import switching_head

BUFFER_BYTES = 256 * 1024


async def switch(
    transport: asyncio.Transport, response: Response, serve_raw: Upgrade, received: bytes,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Answer 101 and hand the connection over, until it is done with. ``received`` came behind the request."""
    reader = asyncio.StreamReader(limit=BUFFER_BYTES, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if received:
        reader.feed_data(received)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    with contextlib.suppress(RuntimeError):  # it may have been paused; resuming twice is an error for some loops
        transport.resume_reading()
    writer.write(switching_head(response))
    try:
        await serve_raw(reader, writer)
    finally:
        transport.close()
