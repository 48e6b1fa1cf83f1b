"""The whole scheduler against a real API server: pods get bound, or say why not, and events bring them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sampan.api import meta
from sampan.api.resources import NODES, PODS
from sampan.client.rest import MERGE_PATCH
from sampan.scheduler.scheduler import Config, start
from tests.unit.controllers.world import World, world

Object = dict[str, Any]


@asynccontextmanager
async def scheduled() -> AsyncIterator[World]:
    async with world(controllers=False) as here:
        scheduler = await start(here.client_of("scheduler"), here.informers, config=Config(seed=1))
        try:
            yield here
        finally:
            await scheduler.close()


async def make(here: World, name: str, cpu: str = "", **spec: Any) -> Object:
    resources = {"resources": {"requests": {"cpu": cpu}}} if cpu else {}
    body = {"containers": [{"name": "c", "image": "i", **resources}]} | spec
    return await here.create(PODS, {"metadata": {"name": name, "namespace": "default"}, "spec": body})


async def bound(here: World, name: str) -> str:
    async def check() -> str:
        return str(((await here.get(PODS, name)) or {})["spec"].get("nodeName") or "")

    return str(await here.until(check, f"{name} bound"))


async def refused(here: World, name: str) -> str:
    async def check() -> str:
        found = meta.condition((await here.get(PODS, name)) or {}, "PodScheduled") or {}
        return str(found.get("message", "")) if found.get("reason") == "Unschedulable" else ""

    return str(await here.until(check, f"{name} refused"))


async def test_a_pod_is_bound_and_told_of() -> None:
    async with scheduled() as here:
        await here.node("n1")
        await make(here, "a")
        assert await bound(here, "a") == "n1"
        assert await here.until(lambda: here.events("Scheduled")) == ["Successfully assigned default/a to n1"]


async def test_a_batch_never_takes_more_than_there_is() -> None:
    """Nothing of the first pods is in the cache yet when the last one is placed."""
    async with scheduled() as here:
        for name in ("n1", "n2"):
            await here.node(name, allocatable={"cpu": "2"})
        for i in range(5):
            await make(here, f"p{i}", cpu="1")

        async def settled() -> list[Object] | None:
            found = await here.list(PODS)
            done = [p for p in found if p["spec"].get("nodeName")]
            left = [p for p in found if (meta.condition(p, "PodScheduled") or {}).get("reason") == "Unschedulable"]
            return done if (len(done), len(left)) == (4, 1) else None

        placed = await here.until(settled)
        nodes = [p["spec"]["nodeName"] for p in placed]
        assert (nodes.count("n1"), nodes.count("n2")) == (2, 2)


async def test_no_room_then_room() -> None:
    async with scheduled() as here:
        await here.node("n1", allocatable={"cpu": "1"})
        await make(here, "first", cpu="1")
        await bound(here, "first")
        await make(here, "second", cpu="1")
        assert await refused(here, "second") == (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are "
            "available: 1 No preemption victims found for incoming pod.")
        assert await here.until(lambda: here.events("FailedScheduling"))
        await here.client.delete(PODS, "first", "default", grace_period_seconds=0)
        assert await bound(here, "second") == "n1"


async def test_a_new_node_a_removed_taint_an_uncordon() -> None:
    async with scheduled() as here:
        await make(here, "a")
        assert await refused(here, "a") == "no nodes available to schedule pods"
        await here.node("n1", spec={"unschedulable": True})

        async def cordoned() -> bool:
            return "unschedulable" in await refused(here, "a")

        await here.until(cordoned)
        await here.client.patch(NODES, "n1", {"spec": {"unschedulable": None}}, content_type=MERGE_PATCH)
        assert await bound(here, "a") == "n1"


async def test_pods_of_other_schedulers_and_gated_ones_are_left() -> None:
    async with scheduled() as here:
        await here.node("n1")
        await make(here, "theirs", schedulerName="other")
        await make(here, "gated", schedulingGates=[{"name": "example.com/wait"}])
        await make(here, "ours")
        await bound(here, "ours")
        for name in ("theirs", "gated"):
            found = await here.get(PODS, name)
            assert found is not None and not found["spec"].get("nodeName")
        await here.client.patch(PODS, "gated", {"spec": {"schedulingGates": None}}, "default",
                                content_type=MERGE_PATCH)
        assert await bound(here, "gated") == "n1"
