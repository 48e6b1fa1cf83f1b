"""Namespaces, accounts and nodes: the plans by table, the controllers against a real API server."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from sampan.api import meta
from sampan.api.resources import CONFIGMAPS, CORE_EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICEACCOUNTS
from sampan.client.rest import MERGE_PATCH
from sampan.controllers import event_ttl, node_ipam, podgc, taint_eviction
from sampan.controllers.base import Config
from sampan.controllers.initial_namespaces import InitialNamespacesController
from sampan.controllers.namespace.conditions import conditions, remaining
from sampan.controllers.namespace.controller import NamespaceController
from sampan.controllers.node_ipam import NodeIpamController
from sampan.controllers.nodelifecycle import health, taints
from sampan.controllers.nodelifecycle.controller import NodeLifecycleController
from sampan.controllers.podgc import PodGarbageController
from sampan.controllers.serviceaccount import ServiceAccountController
from sampan.controllers.taint_eviction import TaintEvictionController
from tests.unit.controllers.make import NOW, pod, stamp
from tests.unit.controllers.world import World, world

Object = dict[str, Any]


# -- namespaces and accounts -----------------------------------------------------------------------------------------

async def gone(here: World, name: str) -> None:
    async def check() -> bool:
        return await here.get(NAMESPACES, name) is None

    await here.until(check, f"{name} gone")


async def test_the_first_namespaces_and_their_accounts() -> None:
    only = (InitialNamespacesController, ServiceAccountController)
    async with world(only=only, config=Config(root_ca_pem="PEM")) as here:
        async def there() -> bool:
            names = {meta.name(n) for n in await here.list(NAMESPACES, None)}
            accounts = {meta.namespace(a) for a in await here.list(SERVICEACCOUNTS, None)}
            maps = {meta.namespace(m) for m in await here.list(CONFIGMAPS, None) if m["data"] == {"ca.crt": "PEM"}}
            return names == accounts == maps == {"default", "kube-system", "kube-public", "kube-node-lease"}

        await here.until(there)
        await here.client.delete(SERVICEACCOUNTS, "default", "default")
        await here.until(there)
        spoilt = {"data": {"ca.crt": "other"}}
        await here.client.patch(CONFIGMAPS, "kube-root-ca.crt", spoilt, "default", content_type=MERGE_PATCH)
        await here.until(there)


async def test_a_namespace_is_emptied_pods_first() -> None:
    async with world(only=(NamespaceController,)) as here:
        await here.create(NAMESPACES, {"metadata": {"name": "x"}})
        await here.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "x"}})
        held = {"metadata": {"name": "p", "namespace": "x", "finalizers": ["example.com/hold"]},
                "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await here.create(PODS, held)
        await here.client.delete(NAMESPACES, "x")

        async def waits() -> Object | None:
            found = await here.get(NAMESPACES, "x")
            return meta.condition(found or {}, "NamespaceFinalizersRemaining")

        waiting = await here.until(waits)
        assert waiting["message"] == ("Some content in the namespace has finalizers remaining: "
                                      "example.com/hold in 1 resource instances")
        assert await here.get(CONFIGMAPS, "c", "x") is not None  # its turn comes after the pods
        await here.client.patch(PODS, "p", {"metadata": {"finalizers": None}}, "x", content_type=MERGE_PATCH)
        await gone(here, "x")
        assert await here.list(CONFIGMAPS, "x") == []


def test_what_a_terminating_namespace_says() -> None:
    left = remaining({"pods.": [pod("a"), pod("b")]}, [])
    said = {c["type"]: c for c in conditions([], left, NOW)}
    assert len(said) == 5
    assert said["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: pods. has 2 resource instances")
    assert said["NamespaceDeletionContentFailure"]["status"] == "False"
    assert conditions(list(said.values()), left, NOW + timedelta(hours=1)) == list(said.values())


async def test_a_token_secret_is_filled_and_goes_with_its_account() -> None:
    issued: list[str] = []

    def issue(account: Object, secret: Object) -> str:
        issued.append(meta.name(account))
        return "a.b.c"

    async with world(only=(), config=Config(root_ca_pem="PEM", issue_legacy_token=issue)) as here:
        await here.create(SERVICEACCOUNTS, {"metadata": {"name": "robot", "namespace": "default"}})
        await here.create(SECRETS, {
            "metadata": {"name": "t", "namespace": "default",
                         "annotations": {"kubernetes.io/service-account.name": "robot"}},
            "type": "kubernetes.io/service-account-token"})

        async def filled() -> Object | None:
            found = await here.get(SECRETS, "t")
            return (found or {}).get("data")

        data = {name: base64.b64decode(value).decode() for name, value in (await here.until(filled)).items()}
        assert data == {"token": "a.b.c", "ca.crt": "PEM", "namespace": "default"}
        assert issued == ["robot"]
        await here.client.delete(SERVICEACCOUNTS, "robot", "default")

        async def secret_gone() -> bool:
            return await here.get(SECRETS, "t") is None

        await here.until(secret_gone)


# -- nodes -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("taken", "expected"), [
    ([], "10.244.0.0/24"), (["10.244.0.0/24", "10.244.2.0/24"], "10.244.1.0/24"),
    (["10.244.0.0/23"], "10.244.2.0/24"), (["192.168.0.0/24"], "10.244.0.0/24"), (["10.244.0.0/16"], None),
])
def test_the_lowest_free_range(taken: list[str], expected: str | None) -> None:
    assert node_ipam.plan("10.244.0.0/16", 24, taken) == expected


def node(ready: str | None = "True", *, current: list[Object] | None = None, **spec: Any) -> Object:
    listed = [{"type": "Ready", "status": ready, "lastHeartbeatTime": stamp()}] if ready else []
    return {"metadata": {"name": "n1", "creationTimestamp": stamp(60)}, "status": {"conditions": listed},
            "spec": {"taints": current or []} | spec}


def keys(found: list[Object] | None) -> list[tuple[str, str]] | None:
    return None if found is None else [(t["key"].rpartition("/")[2], t["effect"]) for t in found]


@pytest.mark.parametrize(("state", "expected"), [
    (node("True"), None),
    (node("False"), [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]),
    (node("Unknown"), [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]),
    (node("True", unschedulable=True), [("unschedulable", "NoSchedule")]),
    (node("True", current=[{"key": taints.NOT_READY, "effect": "NoSchedule"}]), []),
    (node(None, current=[{"key": taints.NOT_READY, "effect": "NoSchedule"}]), None),
    (node("True", current=[{"key": "mine", "effect": "NoExecute"}]), None),
    (node("Unknown", current=[{"key": taints.NOT_READY, "effect": "NoExecute"}, {"key": "a", "effect": "NoSchedule"}]),
     [("a", "NoSchedule"), ("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]),
])
def test_taints_follow_conditions(state: Object, expected: list[tuple[str, str]] | None) -> None:
    assert keys(taints.desired_taints(state, NOW)) == expected


def test_a_silent_node_becomes_unknown_once() -> None:
    said = health.unknown_conditions(node("True"), NOW)
    assert said is not None
    assert {(c["type"], c["reason"]) for c in said} == {
        ("Ready", "NodeStatusUnknown"), ("MemoryPressure", "NodeStatusNeverUpdated"),
        ("DiskPressure", "NodeStatusNeverUpdated"), ("PIDPressure", "NodeStatusNeverUpdated")}
    assert health.unknown_conditions({"metadata": {}, "status": {"conditions": said}}, NOW) is None


def test_a_lease_renewal_is_a_sign_of_life() -> None:
    first = health.sighted(None, node(), {"spec": {"renewTime": "a"}}, 1.0)
    assert health.sighted(first, node(), {"spec": {"renewTime": "a"}}, 9.0) is first
    assert health.sighted(first, node(), {"spec": {"renewTime": "b"}}, 9.0).seen_at == 9.0


NO_EXECUTE = {"key": "k", "effect": "NoExecute", "timeAdded": stamp(100)}


@pytest.mark.parametrize(("tolerations", "seconds"), [
    ([], 0.0),
    ([{"key": "k", "operator": "Exists"}], None),
    ([{"operator": "Exists", "tolerationSeconds": 300}], 200.0),
    ([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}], -40.0),
    ([{"key": "k", "value": "v"}], 0.0),
    ([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], 0.0),
])
def test_how_long_a_pod_may_stay(tolerations: list[Object], seconds: float | None) -> None:
    assert taint_eviction.plan(pod("p", spec={"tolerations": tolerations}), [NO_EXECUTE], NOW).seconds == seconds


def test_pods_that_nobody_will_end() -> None:
    pods = [pod("lost", node="gone"), pod("kept", node="n1"), pod("unplaced", node="", deleted=True),
            *(pod(f"done{i}", phase="Succeeded", age=1000 - i) for i in range(3))]
    decided = podgc.plan(pods, {"gone": None, "n1": node()}, threshold=2)
    assert {(p["metadata"]["name"], why) for p, why in decided.force} == {
        ("lost", "PodGC: node no longer exists"), ("unplaced", ""), ("done0", "")}


def test_old_events_are_swept() -> None:
    events = [{"metadata": {"name": "old"}, "lastTimestamp": stamp(3700)},
              {"metadata": {"name": "new"}, "lastTimestamp": stamp(10), "eventTime": None},
              {"metadata": {"name": "alive"}, "lastTimestamp": stamp(9000),
               "series": {"lastObservedTime": stamp(10)}}]
    assert [e["metadata"]["name"] for e in event_ttl.plan(events, 3600, NOW)] == ["old"]


async def test_a_ready_node_gets_its_range_and_loses_its_taint() -> None:
    async with world(only=(NodeIpamController, NodeLifecycleController)) as here:
        for name in ("n1", "n2"):
            await here.node(name, spec={"taints": [{"key": taints.NOT_READY, "effect": "NoSchedule"}]})

        async def usable() -> bool:
            nodes = await here.list(NODES, None)
            return (not any(n["spec"].get("taints") for n in nodes)
                    and {n["spec"].get("podCIDR") for n in nodes} == {"10.244.0.0/24", "10.244.1.0/24"})

        await here.until(usable)


async def test_a_dead_node_loses_its_pods() -> None:
    """No sign of life: Unknown, tainted, its pod not ready and, without a toleration, deleted."""
    config = Config(node_monitor_grace_period_seconds=0.1)
    async with world(only=(NodeLifecycleController, TaintEvictionController), config=config) as here:
        await here.node("n1")
        for name, tolerations in (("goes", []), ("stays", [{"operator": "Exists"}])):
            made = await here.create(PODS, {
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"nodeName": "n1", "tolerations": tolerations, "containers": [{"name": "c", "image": "i"}]}})
            await here.pod_ready(made)

        async def evicted() -> bool:
            leaving, staying = await here.get(PODS, "goes"), await here.get(PODS, "stays")
            return (leaving is None or meta.is_deleted(leaving)) and not meta.is_true(staying or {}, "Ready")

        await here.until(evicted)
        found = await here.get(NODES, "n1")
        assert found is not None
        assert (meta.condition(found, "Ready") or {})["status"] == "Unknown"
        assert ("unreachable", "NoExecute") in (keys(found["spec"]["taints"]) or [])
        staying = await here.get(PODS, "stays")
        assert staying is not None and not meta.is_deleted(staying)
        assert "Marking for deletion Pod default/goes" in await here.until(
            lambda: here.events("TaintManagerEviction"))


async def test_events_do_not_pile_up() -> None:
    config = Config(event_ttl_seconds=0.12)
    async with world(only=(event_ttl.EventTtlController,), config=config) as here:
        await here.create(CORE_EVENTS, {
            "metadata": {"name": "e", "namespace": "default"}, "reason": "r", "message": "m", "type": "Normal",
            "lastTimestamp": stamp(), "firstTimestamp": stamp(), "count": 1, "source": {"component": "t"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}})

        async def swept() -> bool:
            return await here.list(CORE_EVENTS) == []

        await here.until(swept)


async def test_a_deleted_pod_without_a_node_goes_at_once() -> None:
    async with world(only=(PodGarbageController,)) as here:
        await here.create(PODS, {"metadata": {"name": "p", "namespace": "default"},
                                 "spec": {"containers": [{"name": "c", "image": "i"}]}})
        await here.client.delete(PODS, "p", "default")

        async def vanished() -> bool:
            return await here.get(PODS, "p") is None

        await here.until(vanished)
