"""What every Store must do, whatever is behind it: run ``check_store(make)`` on each implementation.

``make`` gives an open, empty store and closes it afterwards.  The random part is seeded: a failure can be repeated.
Surviving ``kill -9`` needs a second process and is ``check_durable``; ``reopen`` only exists for stores that last.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from sampan.store.base import (
    Change,
    Compacted,
    Entry,
    FutureRevision,
    KeyExists,
    KeyMissing,
    RevisionConflict,
    Store,
    StoreError,
    StoreUnavailable,
    Watch,
)

Make = Callable[[], AbstractAsyncContextManager[Store]]
Error = TypeVar("Error", bound=StoreError)


async def check_store(make: Make) -> None:
    """Raises: AssertionError, naming what is broken."""
    for check in CHECKS:
        async with make() as store:
            await check(store)


async def check_writes(store: Store) -> None:
    first = await store.create("/pods/a/x", b"1")
    assert (first.key, first.value, first.revision) == ("/pods/a/x", b"1", first.create_revision)
    assert await store.get("/pods/a/x") == first
    await expect(KeyExists, store.create("/pods/a/x", b"2"))
    second = await store.update("/pods/a/x", b"2", expected=first.revision)
    assert second.revision > first.revision and second.create_revision == first.create_revision
    conflict = await expect(RevisionConflict, store.update("/pods/a/x", b"3", expected=first.revision))
    assert conflict.current == second
    await expect(RevisionConflict, store.delete("/pods/a/x", expected=first.revision))
    assert store.revision >= second.revision
    gone = await store.delete("/pods/a/x", expected=second.revision)
    assert gone.value == b"2" and gone.revision > second.revision and gone.create_revision == first.revision
    assert await store.get("/pods/a/x") is None
    await expect(KeyMissing, store.delete("/pods/a/x", expected=gone.revision))
    await expect(KeyMissing, store.update("/pods/a/x", b"4", expected=gone.revision))
    again = await store.create("/pods/a/x", b"5")
    assert again.revision > gone.revision and again.create_revision == again.revision


async def check_lists(store: Store) -> None:
    names = ["b/1", "a/2", "a/10", "a/1", "ab/1"]
    entries = {name: await store.create(f"/pods/{name}", name.encode()) for name in names}
    await store.create("/podsecrets/a/1", b"")
    whole = await store.list("/pods/")
    assert [entry.key for entry in whole.entries] == sorted(f"/pods/{name}" for name in names)
    assert whole.revision == store.revision and whole.remaining == 0
    assert [entry.key for entry in (await store.list("/pods/a/")).entries] == ["/pods/a/1", "/pods/a/10", "/pods/a/2"]
    first = await store.list("/pods/", limit=2)
    assert [entry.key for entry in first.entries] == ["/pods/a/1", "/pods/a/10"] and first.remaining == 3
    rest = await store.list("/pods/", limit=3, after="/pods/a/10")
    assert len(rest.entries) == 3 and rest.remaining == 0
    assert not (await store.list("/pods/", after="/pods/b/1")).entries
    assert not (await store.list("/nothing/")).entries
    assert len((await store.list("/")).entries) == 6

    past = store.revision
    await store.delete("/pods/a/1", expected=entries["a/1"].revision)
    await store.update("/pods/a/10", b"new", expected=entries["a/10"].revision)
    await store.create("/pods/c/1", b"")
    then = await store.list("/pods/", revision=past)
    assert list(then.entries) == list(whole.entries) and then.revision == past
    page = await store.list("/pods/", revision=past, limit=2)
    assert list(page.entries) == list(whole.entries[:2]) and page.remaining == 3
    page = await store.list("/pods/", revision=past, limit=2, after=page.entries[-1].key)
    assert list(page.entries) == list(whole.entries[2:4]) and page.remaining == 1
    assert [entry.value for entry in (await store.list("/pods/a/")).entries] == [b"new", b"a/2"]
    await expect(FutureRevision, store.list("/pods/", revision=store.revision + 1))


async def check_concurrent_writers(store: Store) -> None:
    """Of many that expect the same revision one wins; a counter raised by many misses none."""
    results = await asyncio.gather(*(store.create("/c/one", b"%d" % n) for n in range(20)), return_exceptions=True)
    won = [result for result in results if isinstance(result, Entry)]
    assert len(won) == 1 and sum(isinstance(result, KeyExists) for result in results) == 19
    assert await store.get("/c/one") == won[0]
    counter = await store.create("/c/counter", b"0")

    async def raise_by(times: int) -> None:
        current = counter
        while times:
            try:
                current = await store.update(
                    "/c/counter", b"%d" % (int(current.value) + 1), expected=current.revision
                )
                times -= 1
            except RevisionConflict as conflict:
                current = conflict.current

    await asyncio.gather(*(raise_by(10) for _ in range(8)))
    last = await store.get("/c/counter")
    assert last is not None and last.value == b"80"
    entries = await asyncio.gather(*(store.create(f"/many/{n}", b"") for n in range(200)))
    revisions = {entry.revision for entry in entries}
    assert len(revisions) == 200 and max(revisions) == store.revision
    await expect(RevisionConflict, store.delete("/c/counter", expected=counter.revision))


async def check_cancelled_writer(store: Store) -> None:
    """Who is cancelled doesn't learn the outcome; the store stays whole."""
    task = asyncio.ensure_future(store.create("/x/1", b"1"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.create("/x/2", b"2")
    entry = await store.get("/x/1")
    if entry is not None:
        await store.delete("/x/1", expected=entry.revision)
    await store.create("/x/1", b"3")


async def check_watch(store: Store) -> None:
    before = store.revision
    watch = await store.watch("/pods/a/", after=before)
    one = await store.create("/pods/a/1", b"1")
    await store.create("/pods/b/1", b"elsewhere")
    two = await store.update("/pods/a/1", b"2", expected=one.revision)
    three = await store.delete("/pods/a/1", expected=two.revision)
    expected = [
        Change("/pods/a/1", one.revision, b"1", None),
        Change("/pods/a/1", two.revision, b"2", b"1"),
        Change("/pods/a/1", three.revision, None, b"2"),
    ]
    assert await take(watch, 3) == expected
    assert watch.revision >= three.revision
    await watch.close()
    late = await store.watch("/pods/a/", after=one.revision)
    assert await take(late, 2) == expected[1:]
    await late.close()
    single = await store.watch("/pods/b/1", after=before)
    assert [change.key for change in await take(single, 1)] == ["/pods/b/1"]
    await single.close()
    await expect(FutureRevision, store.watch("/pods/", after=store.revision + 1))


async def check_waiting_watch(store: Store) -> None:
    """A watch that waits is woken; one that is closed while waiting ends; a cancelled wait loses nothing."""
    watch = await store.watch("/w/", after=store.revision)
    waiting = asyncio.ensure_future(take(watch, 1))
    await asyncio.sleep(0)
    await store.create("/w/1", b"")
    assert [change.key for change in await waiting] == ["/w/1"]
    waiting = asyncio.ensure_future(take(watch, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.create("/w/2", b"")
    assert [change.key for change in await take(watch, 1)] == ["/w/2"]
    ending = asyncio.ensure_future(drain(watch))
    await asyncio.sleep(0)
    await watch.close()
    assert await asyncio.wait_for(ending, 5) == []


async def check_compaction(store: Store) -> None:
    entries = [await store.create("/k/1", b"0")]
    for number in range(1, 10):
        entries.append(await store.update("/k/1", b"%d" % number, expected=entries[-1].revision))
    kept = await store.create("/k/2", b"kept")
    gone = await store.create("/k/3", b"gone")
    await store.delete("/k/3", expected=gone.revision)
    oldest = store.revision
    after = await store.update("/k/1", b"after", expected=entries[-1].revision)
    await store.compact(oldest)
    await expect(Compacted, store.list("/k/", revision=oldest - 1))
    await expect(Compacted, store.watch("/k/", after=oldest - 1))
    assert [entry.value for entry in (await store.list("/k/", revision=oldest)).entries] == [b"9", b"kept"]
    watch = await store.watch("/k/", after=oldest)
    assert await take(watch, 1) == [Change("/k/1", after.revision, b"after", b"9")]
    await watch.close()
    assert await store.get("/k/2") == kept and await store.get("/k/3") is None
    await store.compact(oldest)  # again, and older: nothing to do
    await store.compact(oldest - 3)
    await expect(FutureRevision, store.compact(store.revision + 100))
    await store.create("/k/4", b"")


async def check_random_history(store: Store) -> None:
    """Random writes from several writers: a watch from any revision, opened at any time, sees the rest exactly."""
    rng = random.Random(20261122)
    keys = [f"/r/{folder}/{number}" for folder in "ab" for number in range(6)]
    opened: list[tuple[str, int, Watch]] = []
    start = store.revision

    async def writer(rng: random.Random) -> None:
        for _ in range(60):
            await random_write(store, rng, rng.choice(keys))
            if rng.random() < 0.15:
                prefix = rng.choice(["/r/", "/r/a/", "/r/b/", "/r/a/1"])
                after = rng.randint(start, store.revision)
                opened.append((prefix, after, await store.watch(prefix, after=after)))

    first = await store.watch("/r/", after=start)
    await asyncio.gather(*(writer(random.Random(rng.random())) for _ in range(5)))
    end = await store.create("/r/end", b"")
    for folder in "ab":
        await store.create(f"/r/{folder}/end", b"")
    await store.create("/r/a/1end", b"")
    history = await take_until(first, "/r/a/1end")
    assert_is_history(history)
    for prefix, after, watch in opened:
        seen = await take_until(watch, {"/r/": "/r/a/1end", "/r/a/1": "/r/a/1end"}.get(prefix, prefix + "end"))
        until = seen[-1].revision
        want = [change for change in history if after < change.revision <= until and change.key.startswith(prefix)]
        assert seen == want, f"watch of {prefix} after {after}"
        await watch.close()
    for revision in rng.sample(range(start + 1, end.revision), 10):
        page = await store.list("/r/", revision=revision)
        assert {e.key: (e.value, e.revision) for e in page.entries} == state_at(history, revision)


async def check_close(store: Store) -> None:
    """Closing ends the watches, and nothing can be written or read afterwards."""
    watch = await store.watch("/", after=store.revision)
    waiting = asyncio.ensure_future(drain(watch))
    await asyncio.sleep(0)
    entry = await store.create("/z/1", b"")
    await store.close()
    await asyncio.wait_for(waiting, 5)
    await expect(StoreUnavailable, store.create("/z/2", b""))
    await expect(StoreUnavailable, store.update("/z/1", b"", expected=entry.revision))
    await expect(StoreUnavailable, store.get("/z/1"))
    await expect(StoreUnavailable, store.watch("/z/", after=entry.revision))
    await store.close()


async def check_reopened(store: Store, reopen: Callable[[], Awaitable[Store]]) -> None:
    """``reopen`` closes the store and opens it again: objects, history and the compaction are as they were."""
    one = await store.create("/p/1", b"1")
    two = await store.update("/p/1", b"2", expected=one.revision)
    three = await store.create("/p/2", b"\x00\xff" * 5000)
    last = await store.delete("/p/1", expected=two.revision)
    store = await reopen()
    assert store.revision == last.revision
    assert await store.get("/p/1") is None and await store.get("/p/2") == three
    watch = await store.watch("/p/", after=one.revision)
    assert [change.revision for change in await take(watch, 3)] == [two.revision, three.revision, last.revision]
    await watch.close()
    assert [entry.value for entry in (await store.list("/p/", revision=two.revision)).entries] == [b"2"]
    await store.compact(last.revision)
    store = await reopen()
    assert store.revision == last.revision  # though the deletion, the last row, may have been swept
    await expect(Compacted, store.watch("/p/", after=one.revision))
    four = await store.create("/p/4", b"")
    assert four.revision > last.revision


CHECKS: tuple[Callable[[Store], Awaitable[None]], ...] = (
    check_writes, check_lists, check_concurrent_writers, check_cancelled_writer, check_watch, check_waiting_watch,
    check_compaction, check_random_history, check_close,
)


async def expect(error: type[Error], awaitable: Awaitable[object]) -> Error:
    try:
        result = await awaitable
    except error as raised:
        return raised
    raise AssertionError(f"expected {error.__name__}, got {result!r}")


async def take(watch: Watch, count: int) -> list[Change]:
    """The next ``count`` changes (a batch may bring more: then it fails, as they were not expected)."""
    changes: list[Change] = []
    async with asyncio.timeout(10):
        while len(changes) < count:
            changes += await watch.__anext__()
    return changes


async def take_until(watch: Watch, key: str) -> list[Change]:
    changes: list[Change] = []
    async with asyncio.timeout(10):
        async for batch in watch:
            changes += batch
            if any(change.key == key for change in batch):
                break
    return changes


async def drain(watch: Watch) -> list[Change]:
    return [change async for batch in watch for change in batch]


async def random_write(store: Store, rng: random.Random, key: str) -> None:
    value = b"%d" % rng.randrange(1000)
    entry = await store.get(key)
    try:
        if entry is None:
            await store.create(key, value)
        elif rng.random() < 0.3:
            await store.delete(key, expected=entry.revision)
        else:
            await store.update(key, value, expected=entry.revision)
    except (KeyExists, KeyMissing, RevisionConflict):
        pass  # another writer was faster


def assert_is_history(changes: Sequence[Change]) -> None:
    """In order, and each change starts from what the one before it left."""
    state: dict[str, bytes] = {}
    last = 0
    for change in changes:
        assert change.revision > last, f"revision {change.revision} came after {last}"
        assert change.previous == state.get(change.key), f"a change of {change.key} is missing before {change.revision}"
        last = change.revision
        if change.value is None:
            del state[change.key]
        else:
            state[change.key] = change.value


def state_at(changes: Sequence[Change], revision: int) -> dict[str, tuple[bytes, int]]:
    state: dict[str, tuple[bytes, int]] = {}
    for change in changes:
        if change.revision > revision:
            break
        if change.value is None:
            del state[change.key]
        else:
            state[change.key] = (change.value, change.revision)
    return state
