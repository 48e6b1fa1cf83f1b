from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sampan.store.base import Change, Compacted, FutureRevision, StoreUnavailable
from sampan.store.watch import PAGE_CHANGES, Hub


class Past:
    """All changes ever, as a database would keep them."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.reads = 0

    async def read(self, prefix: str, after: int, upto: int, limit: int) -> Sequence[Change]:
        self.reads += 1
        await asyncio.sleep(0)
        wanted = [c for c in self.changes if after < c.revision <= upto and c.key.startswith(prefix)]
        return wanted[:limit]


class World:
    def __init__(self, **options: int) -> None:
        self.past = Past()
        self.hub = Hub(self.past.read, **options)

    def write(self, key: str, value: bytes = b"v") -> int:
        change = Change(key, self.hub.revision + 1, value, None)
        self.past.changes.append(change)
        self.hub.publish((change,), change.revision)
        return change.revision


def revisions(changes: Sequence[Change]) -> list[int]:
    return [change.revision for change in changes]


async def test_what_the_ring_has_forgotten_is_read_from_the_past_without_a_gap() -> None:
    world = World(ring_changes=10)
    total = PAGE_CHANGES * 2 + 100
    for number in range(total):
        world.write(f"/a/{number}")
    watch = world.hub.watch("/a/", 5)
    seen = revisions(await watch.__anext__())
    live = world.write("/a/live")
    while seen[-1] != live:
        seen += revisions(await watch.__anext__())
    assert seen == list(range(6, total + 2))
    assert world.past.reads == 3 and watch.revision == live


async def test_the_recent_past_comes_from_the_ring() -> None:
    world = World(ring_changes=10)
    for number in range(30):
        world.write(f"/{'ab'[number % 2]}/{number}")
    watch = world.hub.watch("/a/", 22)
    assert revisions(await watch.__anext__()) == [23, 25, 27, 29]
    assert watch.revision == 30 and world.past.reads == 0


async def test_the_ring_is_bounded_in_bytes() -> None:
    world = World(ring_bytes=100_000)
    for _ in range(50):
        world.write("/a/big", b"x" * 20_000)
    watch = world.hub.watch("/a/", 40)
    assert len(await watch.__anext__()) == 10
    assert world.past.reads == 1
    assert world.hub.unchanged_since("/b/", 47) and not world.hub.unchanged_since("/a/", 47)
    assert not world.hub.unchanged_since("/b/", 40)  # not known any more


async def test_a_slow_watcher_is_cut_off_and_no_other() -> None:
    world = World(max_queued=100)
    slow, quick = world.hub.watch("/a/", 0), world.hub.watch("/a/", 0)
    seen = 0
    for _ in range(150):
        world.write("/a/1")
        seen += len(await quick.__anext__())
    assert seen == 150
    with pytest.raises(Compacted, match="fell too far behind"):
        await slow.__anext__()
    await slow.close()
    world.write("/a/2")
    assert len(await quick.__anext__()) == 1


async def test_watchers_of_one_key_and_of_everything() -> None:
    world = World()
    one, everything, nothing = world.hub.watch("/a/1", 0), world.hub.watch("", 0), world.hub.watch("/b/", 0)
    world.write("/a/1")
    world.write("/a/2")
    world.write("/a/10")  # starts with /a/1
    assert revisions(await one.__anext__()) == [1, 3]
    assert revisions(await everything.__anext__()) == [1, 2, 3]
    assert nothing.queue == []


async def test_progress_wakes_those_who_saw_nothing() -> None:
    world = World()
    world.hub._progress_seconds = 0.01
    idle, busy = world.hub.watch("/idle/", 0), world.hub.watch("/a/", 0)
    revision = world.write("/a/1")
    assert await asyncio.wait_for(idle.__anext__(), 5) == []
    assert idle.revision == revision
    assert revisions(await busy.__anext__()) == [revision]
    world.hub.close()


async def test_revisions_out_of_range_are_refused() -> None:
    world = World(revision=10, compacted=5)
    with pytest.raises(Compacted):
        world.hub.watch("/a/", 4)
    with pytest.raises(FutureRevision):
        world.hub.watch("/a/", 11)
    world.hub.close()
    with pytest.raises(StoreUnavailable):
        world.hub.watch("/a/", 10)


async def test_closed_watches_leave_nothing_behind() -> None:
    world = World()
    watches = [world.hub.watch(prefix, 0) for prefix in ("/a/", "/a/", "/a/1", "")]
    for watch in watches:
        await watch.close()
        await watch.close()
    assert world.hub._by_folder == {} and world.hub._by_parent == {}


async def test_watchers_share_one_change_and_its_memo() -> None:
    world = World()
    first, second = world.hub.watch("/a/", 0), world.hub.watch("/a/", 0)
    world.write("/a/1")
    (change,), (same,) = await first.__anext__(), await second.__anext__()
    change.memo["encoded"] = b"once"
    assert same is change and same.memo == {"encoded": b"once"}
