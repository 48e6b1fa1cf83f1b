"""gzip for large answers, off the event loop.

Compressing costs more CPU than sending: worth it only across a real network, so only for clients that ask, and, as
upstream, only from 128 KiB on and at level 1.

Upstream: ``endpoints/handlers/responsewriters/writers.go``.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping

LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS


def worth_compressing(headers: Mapping[str, str]) -> bool:
    return "gzip" in headers.get("accept-encoding", "")


async def compress(body: bytes) -> bytes:
    return await asyncio.to_thread(_compress, body)


def _compress(body: bytes) -> bytes:
    # zlib gives the interpreter lock back while it works
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()
