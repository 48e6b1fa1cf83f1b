"""One connection to a kubelet is ready before it is wanted, and none is kept for ever."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest

from sampan.apiserver import kubelet_connections
from sampan.apiserver.kubelet_connections import KubeletAddress, Spares

HERE = KubeletAddress("127.0.0.1", 10250)
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Writer:
    closed = False

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[asyncio.StreamReader, Writer]]:
    made: list[tuple[asyncio.StreamReader, Writer]] = []

    async def dial(address: KubeletAddress, tls: ssl.SSLContext) -> tuple[asyncio.StreamReader, Writer]:
        made.append((asyncio.StreamReader(), Writer()))
        return made[-1]

    monkeypatch.setattr(kubelet_connections, "dial", dial)
    return made


async def until(condition: Callable[[], object]) -> None:
    """Let the tasks run until it is so, and then to where they wait next."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_the_second_request_finds_a_connection(dialled: list[tuple[asyncio.StreamReader, Writer]]) -> None:
    spares = Spares(pause_seconds=0)
    assert spares.take(HERE, TLS) is None
    await until(lambda: dialled)
    assert spares.take(HERE, TLS) == dialled[0]
    await until(lambda: len(dialled) == 2)
    await spares.close()
    assert [writer.closed for _, writer in dialled] == [False, True]  # the first is its taker's


async def test_what_the_kubelet_has_closed_is_not_given_out(
    dialled: list[tuple[asyncio.StreamReader, Writer]],
) -> None:
    spares = Spares(pause_seconds=0)
    spares.take(HERE, TLS)
    await until(lambda: dialled)
    dialled[0][0].feed_eof()
    assert spares.take(HERE, TLS) is None and dialled[0][1].closed
    await spares.close()


async def test_a_spare_that_nobody_wants_goes(dialled: list[tuple[asyncio.StreamReader, Writer]]) -> None:
    spares = Spares(spare_seconds=0.001, pause_seconds=0)
    spares.take(HERE, TLS)
    await until(lambda: dialled and dialled[0][1].closed)
    await spares.close()
