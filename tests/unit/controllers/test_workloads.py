"""Deployments, ReplicaSets and the garbage collector against a real API server: what a user would see."""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.resources import CONFIGMAPS, DEPLOYMENTS, PODS, REPLICASETS
from sampan.client.rest import MERGE_PATCH
from sampan.controllers.deployment.controller import DeploymentController
from sampan.controllers.garbagecollector.controller import GarbageCollector
from sampan.controllers.replicaset.controller import ReplicaSetController
from tests.unit.controllers.world import World, world

Object = dict[str, Any]

WORKLOADS = (DeploymentController, ReplicaSetController)


def deployment(replicas: int = 3, image: str = "nginx:1", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template} | spec}


async def pods(here: World, count: int) -> list[Object]:
    found: list[Object] = []

    async def there() -> bool:
        found[:] = [pod for pod in await here.list(PODS) if not meta.is_deleted(pod)]
        return len(found) == count

    await here.until(there, f"{count} pods")
    return found


async def available(here: World, count: int) -> Object:
    async def check() -> Object | None:
        found = await here.get(DEPLOYMENTS, "web")
        status = (found or {}).get("status") or {}
        done = (status.get("availableReplicas") or 0) == count and (status.get("updatedReplicas") or 0) == count and (
            status.get("replicas") or 0) == count
        return found if done else None

    found: Object = await here.until(check, f"{count} available")
    return found


async def set_image(here: World, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await here.client.patch(DEPLOYMENTS, "web", patch, "default", content_type=MERGE_PATCH)


async def keep_ready(here: World) -> None:
    """Be the kubelet: what is new becomes ready, what is deleted goes."""
    for pod in await here.list(PODS):
        if meta.is_deleted(pod):
            await here.client.delete(PODS, meta.name(pod), "default", grace_period_seconds=0)
        elif not meta.is_true(pod, "Ready"):
            await here.pod_ready(pod)


async def rolled_out(here: World, image: str, count: int, least: int, most: int) -> Object:
    """Play the kubelet until the rollout is through; the promises hold at every moment."""
    async def check() -> Object | None:
        await keep_ready(here)
        now = await here.list(PODS)
        assert len([p for p in now if not meta.is_deleted(p)]) <= most
        assert len([p for p in now if meta.is_true(p, "Ready")]) >= least
        found = await here.get(DEPLOYMENTS, "web")
        assert found is not None
        status = found["status"]
        images = {p["spec"]["containers"][0]["image"] for p in now}
        complete = (status.get("updatedReplicas"), status.get("replicas"), status.get("availableReplicas"))
        observed = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if images == {image} and complete == (count,) * 3 and observed else None

    found: Object = await here.until(check, f"{image} rolled out", 10)
    return found


async def test_a_deployment_comes_up_and_reports() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment())
        for pod in await pods(here, 3):
            await here.pod_ready(pod)
        found = await available(here, 3)
        (rs,) = await here.list(REPLICASETS)
        assert found["metadata"]["generation"] == 1  # its own annotation is no new generation
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        created = sorted(f"Created pod: {meta.name(pod)}" for pod in await pods(here, 3))

        async def told() -> bool:
            scaled = await here.events("ScalingReplicaSet")
            return scaled == [f"Scaled up replica set {meta.name(rs)} from 0 to 3"] and sorted(
                await here.events("SuccessfulCreate")) == created

        await here.until(told)


async def test_a_rolling_update_keeps_its_promises_and_can_be_undone() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment(4))
        for pod in await pods(here, 4):
            await here.pod_ready(pod)
        await available(here, 4)
        await set_image(here, "nginx:2")
        assert meta.annotations(await rolled_out(here, "nginx:2", 4, 3, 5))[
            "deployment.kubernetes.io/revision"] == "2"
        await set_image(here, "nginx:1")  # what kubectl rollout undo sends
        await rolled_out(here, "nginx:1", 4, 3, 5)
        numbers = {rs["spec"]["template"]["spec"]["containers"][0]["image"]:
                   meta.annotations(rs)["deployment.kubernetes.io/revision"] for rs in await here.list(REPLICASETS)}
        assert numbers == {"nginx:1": "3", "nginx:2": "2"}


async def test_recreate_has_no_moment_with_both() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment(2, strategy={"type": "Recreate"}))
        old = await pods(here, 2)
        await set_image(here, "nginx:2")

        async def old_are_ending() -> bool:
            now = await here.list(PODS)
            assert {p["spec"]["containers"][0]["image"] for p in now} <= {"nginx:1"} or not any(
                p["metadata"]["uid"] in {o["metadata"]["uid"] for o in old} for p in now)
            return any(p["spec"]["containers"][0]["image"] == "nginx:2" for p in now)

        await here.until(old_are_ending)


async def test_scaling_down_and_up() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment(1))
        for size in (5, 2, 0):
            await here.client.patch(DEPLOYMENTS, "web", {"spec": {"replicas": size}}, "default",
                                    content_type=MERGE_PATCH)
            await pods(here, size)

        async def told() -> bool:
            return len(await here.events("SuccessfulDelete")) == 5

        await here.until(told)


async def test_a_killed_pod_is_replaced() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment(2))
        first = (await pods(here, 2))[0]
        await here.client.delete(PODS, meta.name(first), "default", grace_period_seconds=0)
        assert meta.uid(first) not in {meta.uid(pod) for pod in await pods(here, 2)}


async def test_a_pod_is_released_when_its_labels_change_and_adopted_when_they_match() -> None:
    async with world(only=WORKLOADS) as here:
        await here.create(DEPLOYMENTS, deployment(1))
        (pod,) = await pods(here, 1)
        digest = meta.labels(pod)["pod-template-hash"]
        await here.client.patch(PODS, meta.name(pod), {"metadata": {"labels": {"app": "other"}}}, "default")
        await pods(here, 2)

        async def is_released() -> bool:
            found = await here.get(PODS, meta.name(pod))
            return found is not None and not meta.owner_references(found)

        await here.until(is_released)
        await here.client.patch(PODS, meta.name(pod), {"metadata": {"labels": {"app": "web"}}}, "default")
        (left,) = await pods(here, 1)  # adopted again: one too many
        owner = meta.controller_of(left)
        assert owner is not None and owner["name"] == f"web-{digest}"


async def test_background_deletion_cascades() -> None:
    async with world(only=(*WORKLOADS, GarbageCollector)) as here:
        await here.create(DEPLOYMENTS, deployment(3))
        await pods(here, 3)
        await here.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Background")
        await pods(here, 0)
        assert await here.list(REPLICASETS) == []


async def test_foreground_deletion_waits_for_dependents() -> None:
    async with world(only=(*WORKLOADS, GarbageCollector)) as here:
        await here.create(DEPLOYMENTS, deployment(2))
        (first, _) = await pods(here, 2)
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        await here.client.patch(PODS, meta.name(first), held, "default", content_type=MERGE_PATCH)
        await here.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Foreground")

        async def one_left() -> bool:
            return len(await here.list(PODS)) == 1

        await here.until(one_left)
        waiting = await here.get(DEPLOYMENTS, "web")
        assert waiting is not None and waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
        free = {"metadata": {"finalizers": None}}
        await here.client.patch(PODS, meta.name(first), free, "default", content_type=MERGE_PATCH)

        async def gone() -> bool:
            return await here.get(DEPLOYMENTS, "web") is None and not await here.list(PODS)

        await here.until(gone)


async def test_orphans_stay() -> None:
    async with world(only=(*WORKLOADS, GarbageCollector)) as here:
        await here.create(DEPLOYMENTS, deployment(2))
        await pods(here, 2)
        await here.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Orphan")

        async def gone() -> bool:
            return await here.get(DEPLOYMENTS, "web") is None

        await here.until(gone)
        (rs,) = await here.list(REPLICASETS)
        assert meta.owner_references(rs) == []
        assert len(await pods(here, 2)) == 2


async def test_an_object_with_two_owners_loses_only_the_reference() -> None:
    async with world(only=(GarbageCollector,)) as here:
        owners = [await here.create(CONFIGMAPS, {"metadata": {"name": name, "namespace": "default"}})
                  for name in ("a", "b")]
        references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name(o), "uid": meta.uid(o)}
                      for o in owners]
        await here.create(CONFIGMAPS, {"metadata": {"name": "child", "namespace": "default",
                                                    "ownerReferences": references}})
        await here.client.delete(CONFIGMAPS, "a", "default")

        async def one_owner() -> bool:
            child = await here.get(CONFIGMAPS, "child")
            assert child is not None
            return [ref["name"] for ref in meta.owner_references(child)] == ["b"]

        await here.until(one_owner)
        await here.client.delete(CONFIGMAPS, "b", "default")

        async def gone() -> bool:
            return await here.get(CONFIGMAPS, "child") is None

        await here.until(gone)


async def test_an_owner_of_another_namespace_does_not_count() -> None:
    from sampan.api.resources import NAMESPACES
    async with world(only=(GarbageCollector,)) as here:
        await here.create(NAMESPACES, {"metadata": {"name": "other"}})
        owner = await here.create(CONFIGMAPS, {"metadata": {"name": "a", "namespace": "other"}})
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": meta.uid(owner)}
        await here.create(CONFIGMAPS, {"metadata": {"name": "child", "namespace": "default",
                                                    "ownerReferences": [reference]}})

        async def gone() -> bool:
            return await here.get(CONFIGMAPS, "child") is None

        await here.until(gone)
        assert await here.get(CONFIGMAPS, "a", "other") is not None
