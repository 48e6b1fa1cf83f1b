from __future__ import annotations

from typing import Any

from sampan.scheduler.framework import Event
from sampan.scheduler.queue import SchedulingQueue
from sampan.scheduler.watching import node_events
from tests.unit.scheduler.make import node, pod

Object = dict[str, Any]

FIT = frozenset({"Fit"})


class Hands:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def queue(hands: Hands | None = None) -> SchedulingQueue:
    return SchedulingQueue({Event.POD_REMOVED: FIT}, hands or Hands())


def uid(obj: Object) -> str:
    return str(obj["metadata"]["uid"])


def test_priority_first_then_first_come() -> None:
    q = queue()
    for name, priority in (("a", 0), ("b", 10), ("c", 0)):
        q.add(pod(name, priority=priority))
    popped = [q.pop_now() for _ in range(4)]
    assert [entry and entry.pod["metadata"]["name"] for entry in popped] == ["b", "a", "c", None]


def test_an_event_that_helps_brings_it_back_once() -> None:
    q, wanted = queue(), pod("a")
    q.add(wanted)
    entry = q.pop_now()
    assert entry is not None
    q.unschedulable(entry, FIT)
    q.happened(Event.NODE_LABELS)
    assert (q.state(uid(wanted)), q.pop_now()) == ("unschedulable", None)
    q.happened(Event.POD_REMOVED)
    q.happened(Event.POD_REMOVED)
    assert q.pop_now() is entry  # nobody else is waiting: the back-off is cut short
    assert q.pop_now() is None


def test_back_off_gives_way_to_fresh_pods() -> None:
    hands = Hands()
    q = queue(hands)
    q.add(pod("failed"))
    entry = q.pop_now()
    assert entry is not None
    q.unschedulable(entry, FIT)
    q.happened(Event.POD_REMOVED)
    q.add(pod("fresh"))
    names = [(q.pop_now() or entry).pod["metadata"]["name"] for _ in range(2)]
    assert names == ["fresh", "failed"]


def test_back_off_grows_to_ten_seconds() -> None:
    q = queue()
    q.add(pod("a"))
    seen = []
    for _ in range(6):
        entry = q.pop_now()
        assert entry is not None
        seen.append(q.failed(entry))
        q.retry(uid(entry.pod))
    assert seen == [1, 2, 4, 8, 10, 10]


def test_a_status_report_is_no_reason_to_try_again_but_a_change_is() -> None:
    q, wanted = queue(), pod("a")
    q.add(wanted)
    entry = q.pop_now()
    assert entry is not None
    q.unschedulable(entry, FIT)
    q.add(wanted | {"status": {"phase": "Pending", "conditions": []}})
    assert q.pop_now() is None
    q.add(pod("a", labels={"x": "y"}))
    assert q.pop_now() is entry


def test_gates_hold_a_pod_until_they_are_gone() -> None:
    q = queue()
    q.add(pod("a", schedulingGates=[{"name": "wait"}]))
    assert (q.state(uid(pod("a"))), q.pop_now()) == ("gated", None)
    q.add(pod("a"))
    assert q.pop_now() is not None


def test_a_deleted_pod_is_not_popped() -> None:
    q = queue()
    q.add(pod("a"))
    q.remove(uid(pod("a")))
    assert (q.pop_now(), len(q)) == (None, 0)


def test_the_safety_net() -> None:
    hands = Hands()
    q = queue(hands)
    q.add(pod("a"))
    entry = q.pop_now()
    assert entry is not None
    q.unschedulable(entry, FIT)
    q.retry_stale(300)
    assert q.pop_now() is None
    hands.time += 300
    q.retry_stale(300)
    assert q.pop_now() is entry


async def test_pop_waits_for_a_pod() -> None:
    import asyncio
    q = queue()
    waiting = asyncio.create_task(q.pop())
    await asyncio.sleep(0)
    q.add(pod("a"))
    assert (await waiting).pod["metadata"]["name"] == "a"


def test_which_changes_of_a_node_matter() -> None:
    assert node_events(None, node("n")) == [Event.NODE_ADDED]
    assert node_events(node("n"), node("n")) == []
    assert node_events(node("n"), node("n", cpu="8")) == [Event.NODE_ALLOCATABLE]
    assert node_events(node("n"), node("n", labels={"a": "b"})) == [Event.NODE_LABELS]
    assert node_events(node("n"), node("n", unschedulable=True)) == [Event.NODE_TAINTS]
