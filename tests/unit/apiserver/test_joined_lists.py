"""The kept bytes of lists: right, shared, bounded, forgotten."""

from __future__ import annotations

import asyncio

import orjson

from sampan.apiserver.joined_lists import KEPT, SLICE, JoinedLists
from sampan.store.base import Entry


def entries(count: int, revision: int = 7) -> tuple[Entry, ...]:
    return tuple(Entry(f"/a/{n}", b'{"metadata":{"name":"%d"}}' % n, revision, 1) for n in range(count))


async def joined(lists: JoinedLists, some: tuple[Entry, ...]) -> list[bytes]:
    return [piece async for piece in lists.pieces(some)]


async def test_the_pieces_make_one_array() -> None:
    some = entries(2 * SLICE + 1)
    pieces = await joined(JoinedLists(), some)
    assert len(pieces) == 3
    found = orjson.loads(b"[" + b"".join(pieces) + b"]")
    assert [item["metadata"] for item in found] == [
        {"resourceVersion": "7", "name": str(number)} for number in range(len(some))]


async def test_they_are_kept_from_the_second_time_on_and_shared_from_then() -> None:
    lists, some = JoinedLists(), entries(SLICE + 1)
    first = await joined(lists, some)
    assert lists.bytes == 0
    second, third = await joined(lists, some), await joined(lists, some)
    assert first == second == third
    assert first[0] is not second[0]
    assert all(a is b for a, b in zip(second, third, strict=True))
    assert lists.bytes == sum(map(len, second))


async def test_another_state_is_another_list() -> None:
    lists = JoinedLists()
    for revision in (7, 8):
        some = entries(1, revision)
        for _ in range(2):
            assert b'"resourceVersion":"%d"' % revision in (await joined(lists, some))[0]


async def test_only_few_and_not_too_large() -> None:
    lists = JoinedLists(max_bytes=100)
    many = [entries(1, number) for number in range(KEPT + 3)]
    for some in many * 3:
        await joined(lists, some)
    assert lists.bytes <= 100
    assert len(lists._asked) == KEPT


async def test_what_nobody_asks_for_is_forgotten() -> None:
    lists, some = JoinedLists(forget_seconds=0.005), entries(3)
    for _ in range(2):
        await joined(lists, some)
    for _ in range(1000):
        if not lists._asked:
            break
        await asyncio.sleep(0.001)
    assert lists.bytes == 0
    assert lists._forgetting is None
