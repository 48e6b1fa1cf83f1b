"""From a pod's creation to Ready as a watcher sees it, from its deletion to gone, and a whole ``kubectl exec``."""

from __future__ import annotations

import asyncio
import contextlib
import time

from bench.report import Figure, at_most, median, percentile
from bench.running import cluster
from bench.yardstick import command_milliseconds
from sampan.api.errors import NotFound
from sampan.api.resources import PODS
from sampan.client.kubeconfig import load
from sampan.client.rest import Client
from tests.e2e.cluster import KUBECTLS, Cluster

LONE_PODS = 30
MANY_PODS = 100
MANY_TIMEOUT_SECONDS = 120


def pod(name: str) -> dict[str, object]:
    container = {"name": "c", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}


def measure() -> list[Figure]:
    with cluster() as one:
        return [*asyncio.run(_pods(one)), *_exec(one)]


async def _pods(one: Cluster) -> list[Figure]:
    transport = load(one.kubeconfig).transport()
    client = Client(transport, user_agent="sampan-bench")
    try:
        lone = [await _lone(client, f"lone-{n}") for n in range(LONE_PODS)]
        ready, gone = [1000 * r for r, _ in lone], [g for _, g in lone]
        all_ready, all_gone = await _many(client)
    finally:
        await transport.close()
    runc = f"runc --version {command_milliseconds('runc', '--version'):.0f} ms"
    return [
        at_most("pod created → Ready, one at a time, p50", median(ready), 200, "ms", runc),
        at_most("pod created → Ready, one at a time, p99", percentile(ready, 0.99), 500, "ms"),
        at_most("one pod deleted with grace 1 s → gone", median(gone), 1.5, "s"),
        at_most(f"{MANY_PODS} pods created at once, all Ready", all_ready, 10, "s"),
        at_most(f"{MANY_PODS} pods deleted, all gone", all_gone, 10, "s"),
    ]


def is_ready(obj: dict[str, object]) -> bool:
    status = obj.get("status") or {}
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())  # type: ignore


async def _lone(client: Client, name: str) -> tuple[float, float]:
    """Seconds until Ready, and seconds from deletion until gone."""
    began = time.perf_counter()
    created = await client.create(PODS, pod(name), "default")
    version = created["metadata"]["resourceVersion"]
    seconds = 0.0
    async for kind, obj in client.watch(PODS, "default", field_selector=f"metadata.name={name}",
                                        resource_version=version):
        if not seconds and kind == "MODIFIED" and is_ready(obj):
            seconds = time.perf_counter() - began
            began = time.perf_counter()
            await client.delete(PODS, name, "default")
        if kind == "DELETED":
            break
    return seconds, time.perf_counter() - began


async def _many(client: Client) -> tuple[float, float]:
    async with asyncio.timeout(MANY_TIMEOUT_SECONDS):
        version = (await client.list(PODS, "default"))["metadata"]["resourceVersion"]
        began, ready, gone = time.perf_counter(), set(), set()
        creating = asyncio.gather(*(client.create(PODS, pod(f"many-{n}"), "default") for n in range(MANY_PODS)))
        seconds = 0.0
        async for kind, obj in client.watch(PODS, "default", resource_version=version):
            name = obj["metadata"].get("name", "")
            if kind == "DELETED":
                gone.add(name)
            elif is_ready(obj):
                ready.add(name)
            if not seconds and len(ready) == MANY_PODS:
                await creating
                seconds, began = time.perf_counter() - began, time.perf_counter()
                await asyncio.gather(*(_delete(client, name) for name in ready))
            if len(gone) == MANY_PODS:
                break
    return seconds, time.perf_counter() - began


async def _delete(client: Client, name: str) -> None:
    with contextlib.suppress(NotFound):
        await client.delete(PODS, name, "default")


def _exec(one: Cluster) -> list[Figure]:
    kubectl = one.kubectl("1.37")
    kubectl("run", "target", "--image=busybox", "--image-pull-policy=IfNotPresent", "--", "sleep", "1000")
    kubectl.wait("pod/target", "condition=Ready")
    taken = command_milliseconds(*kubectl.prefix, "exec", "target", "--", "true")
    alone = command_milliseconds(str(KUBECTLS["1.37"]), "version", "--client")
    return [at_most("`kubectl exec POD -- true`, the whole command", taken, 100, "ms",
                    f"kubectl version --client {alone:.0f} ms")]
