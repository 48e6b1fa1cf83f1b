"""What this machine can do at all, at this moment: one fsync, one ``runc``, a bare aiohttp server."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import median


def fsync_milliseconds(directory: Path) -> float:
    """Median of 100 appends of 4 KiB, each with its own fsync."""
    times = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(100):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1000 * median(times)


def command_milliseconds(*command: str, runs: int = 15) -> float:
    """Median wall time of a whole command."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - began)
    return 1000 * median(times)


@contextmanager
def bare_aiohttp(port: int, certificate: Path, key: Path, body_bytes: int) -> Iterator[tuple[str, int]]:
    """aiohttp's low-level server over TLS that answers everything with the same bytes; gives its URL and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.yardstick", str(port), str(certificate), str(key), str(body_bytes)],
        stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield f"https://127.0.0.1:{port}/", process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


async def _serve(port: int, certificate: str, key: str, body_bytes: int) -> None:
    import asyncio

    from aiohttp import web

    body = b"x" * body_bytes

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
