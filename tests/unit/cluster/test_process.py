"""A daemon's process ends by SIGTERM, whether it is ready or still starting."""

import asyncio
import os
import signal

import pytest

from sampan.cluster.process import _main


async def test_sigterm_ends_a_start_that_waits():
    undone = []

    async def start():
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            undone.append(True)

    async with asyncio.timeout(5):
        await _main(start, -1)
    assert undone == [True]


async def test_sigterm_closes_what_has_started():
    closes = []

    async def close():
        closes.append(True)

    async def start():
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
        return close

    async with asyncio.timeout(5):
        await _main(start, -1)
    assert closes == [True]


async def test_a_start_that_fails_is_told_to_the_starter():
    async def start():
        raise OSError("address\nin use")

    read, write = os.pipe()
    with pytest.raises(SystemExit):
        await _main(start, write)
    assert os.read(read, 100) == b"address in use\n"
    os.close(read)
