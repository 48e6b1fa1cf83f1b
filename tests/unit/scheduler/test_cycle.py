"""One pod's decision: which node, or why none, in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.scheduler.cycle import nodes_to_find
from tests.unit.scheduler.make import chosen, cluster, decide, node, pod, why_not

Object = dict[str, Any]

TAINT = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
END = " no new claims to deallocate, preemption: "


def test_the_emptier_node_wins() -> None:
    state = cluster(node("n1"), node("n2"), pods=[pod("a", cpu="2", on="n1")])
    assert chosen(state, pod(cpu="1")) == "n2"


def test_pods_that_ask_for_nothing_still_spread() -> None:
    state = cluster(node("n1"), node("n2"), pods=[pod("a", on="n1")])
    assert chosen(state, pod()) == "n2"


def test_each_reason_with_its_number_of_nodes() -> None:
    state = cluster(node("n1", taints=[TAINT]), node("n2", cpu="500m"), node("n3", pods="0"))
    assert why_not(state, pod(cpu="1")) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 Too many pods, 1 node(s) had untolerated taint(s)."
        f"{END}0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling.")


@pytest.mark.parametrize(("state", "wanted", "reason", "helpful"), [
    (cluster(node("n1"), pods=[pod("a", cpu="4", on="n1")]), pod(cpu="1"), "1 Insufficient cpu", True),
    (cluster(node("n1")), pod(cpu="64"), "1 Insufficient cpu", False),
    (cluster(node("n1", more={"ephemeral-storage": "1Gi"})), pod(requests={"ephemeral-storage": "2Gi"}),
     "1 Insufficient ephemeral-storage", False),
    (cluster(node("n1")), pod(requests={"example.com/gpu": "1"}), "1 Insufficient example.com/gpu", False),
    (cluster(node("n1", unschedulable=True)), pod(), "1 node(s) were unschedulable", False),
    (cluster(node("n1")), pod(nodeSelector={"disk": "ssd"}),
     "1 node(s) didn't match Pod's node affinity/selector", False),
    (cluster(node("n1"), pods=[pod("a", on="n1", ports=[{"containerPort": 80, "hostPort": 80}])]),
     pod(ports=[{"containerPort": 80, "hostPort": 80}]),
     "1 node(s) didn't have free ports for the requested pod ports", True),
])
def test_reasons(state: Any, wanted: Object, reason: str, helpful: bool) -> None:
    last = "No preemption victims found for incoming pod" if helpful else "Preemption is not helpful for scheduling"
    assert why_not(state, wanted) == (
        f"0/1 nodes are available: {reason}.{END}0/1 nodes are available: 1 {last}.")


def test_no_nodes_at_all() -> None:
    assert why_not(cluster(), pod()) == "no nodes available to schedule pods"


def test_a_pod_that_never_preempts() -> None:
    assert why_not(cluster(node("n1")), pod(cpu="64", preemptionPolicy="Never")).endswith(
        f"Insufficient cpu.{END}not eligible due to preemptionPolicy=Never.")


def test_a_claim_that_nobody_can_fill() -> None:
    wanted = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    assert why_not(cluster(node("n1")), wanted) == (
        f'0/1 nodes are available: persistentvolumeclaim "data" not found.{END}'
        "0/1 nodes are available: 1 Preemption is not helpful for scheduling.")


def test_tolerations_open_a_node() -> None:
    state = cluster(node("n1", taints=[TAINT]))
    assert chosen(state, pod(tolerations=[{"key": "dedicated", "operator": "Equal", "value": "gpu"}])) == "n1"
    assert chosen(state, pod(tolerations=[{"operator": "Exists"}])) == "n1"
    assert "untolerated" in why_not(state, pod(tolerations=[{"key": "dedicated", "value": "other"}]))


def test_a_soft_taint_is_only_avoided() -> None:
    soft = TAINT | {"effect": "PreferNoSchedule"}
    assert chosen(cluster(node("n1", taints=[soft]), node("n2")), pod()) == "n2"
    assert chosen(cluster(node("n1", taints=[soft])), pod()) == "n1"


def affinity(**parts: Any) -> Object:
    return {"nodeAffinity": parts}


def test_node_affinity_required_and_preferred() -> None:
    state = cluster(node("n1", labels={"zone": "a", "cores": "8"}), node("n2", labels={"zone": "b", "cores": "16"}))

    def required(*terms: Object) -> Object:
        return pod(affinity=affinity(requiredDuringSchedulingIgnoredDuringExecution={"nodeSelectorTerms": terms}))

    def expression(key: str, operator: str, *values: str) -> Object:
        return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}

    assert chosen(state, required(expression("zone", "In", "b"))) == "n2"
    assert chosen(state, required(expression("cores", "Gt", "8"))) == "n2"
    assert chosen(state, required(expression("zone", "NotIn", "b"))) == "n1"
    assert chosen(state, required(expression("zone", "In", "x"), expression("zone", "In", "b"))) == "n2"  # either
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}
    assert chosen(state, required(field)) == "n2"
    assert "affinity" in why_not(state, required({}))  # an empty term matches nothing
    preferred = [{"weight": 10, "preference": expression("zone", "In", "b")}]
    assert chosen(state, pod(affinity=affinity(preferredDuringSchedulingIgnoredDuringExecution=preferred))) == "n2"


def test_init_containers_count_by_the_largest_and_sidecars_add() -> None:
    def container(cpu: str, **more: Any) -> Object:
        return {"name": "x", "image": "i", "resources": {"requests": {"cpu": cpu}}, **more}

    state = cluster(node("n1", cpu="3"))
    assert chosen(state, pod(cpu="1", initContainers=[container("3")])) == "n1"
    assert "Insufficient cpu" in why_not(state, pod(cpu="1", initContainers=[container("3100m")]))
    sidecar = container("2500m", restartPolicy="Always")
    assert "Insufficient cpu" in why_not(state, pod(cpu="1", initContainers=[sidecar]))


def test_the_node_with_the_image_wins() -> None:
    image = {"names": ["docker.io/library/web:1"], "sizeBytes": 900 * 1024 * 1024}
    assert chosen(cluster(node("n1"), node("n2", images=[image])), pod(image="docker.io/library/web:1")) == "n2"


@pytest.mark.parametrize(("total", "expected"), [(3, 3), (100, 100), (150, 100), (1000, 420), (5000, 500), (9000, 450)])
def test_large_clusters_are_sampled(total: int, expected: int) -> None:
    assert nodes_to_find(total) == expected


def test_every_node_gets_its_turn() -> None:
    state = cluster(*(node(f"n{i:03}") for i in range(200)))
    first = decide(state, pod())
    assert first.next_start == 100
    assert decide(state, pod(), first.next_start).node_name >= "n100"
