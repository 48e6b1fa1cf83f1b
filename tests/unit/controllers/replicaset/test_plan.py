from __future__ import annotations

from typing import Any

import pytest

from sampan.controllers.replicaset import ranking, status
from sampan.controllers.replicaset.plan import Plan, new_pod, plan, seconds_to_next_available
from tests.unit.controllers.make import NOW, pod, replica_set

Object = dict[str, Any]


def test_missing_pods_are_created_within_the_burst() -> None:
    assert plan(replica_set(replicas=3), [pod("a")], [], NOW) == Plan(create=2)
    assert plan(replica_set(replicas=2000), [], [], NOW) == Plan(create=500)


def test_nothing_is_done_for_one_that_is_deleted() -> None:
    rs = replica_set(replicas=3)
    rs["metadata"]["deletionTimestamp"] = "2026-11-22T15:00:00Z"
    assert plan(rs, [], [], NOW) == Plan()


@pytest.mark.parametrize(("stays", "goes"), [
    (pod("a"), pod("z", node="")),
    (pod("a"), pod("z", phase="Pending")),
    (pod("a"), pod("z", ready=False)),
    (pod("a", annotations={"controller.kubernetes.io/pod-deletion-cost": "10"}), pod("z")),
    (pod("a", ready_for=3600), pod("z", ready_for=1)),
    (pod("a"), pod("z", restarts=5)),
    (pod("a", age=100000), pod("z", age=2)),
])
def test_the_one_that_is_missed_least_goes(stays: Object, goes: Object) -> None:
    assert plan(replica_set(replicas=1), [stays, goes], [stays, goes], NOW).delete == (goes,)
    assert plan(replica_set(replicas=1), [goes, stays], [stays, goes], NOW).delete == (goes,)


def test_the_crowded_node_gives_first() -> None:
    pods = [pod("a", node="n1"), pod("b", node="n2"), pod("c", node="n2")]
    (gone,) = plan(replica_set(replicas=2), pods, pods, NOW).delete
    assert gone["spec"]["nodeName"] == "n2"


def test_ages_of_one_magnitude_are_equal() -> None:
    """Else the youngest would always go, and with it the newest node's pods."""
    older, newer = pod("a", age=4000, ready_for=4000), pod("b", age=3800, ready_for=3800)
    assert ranking.choose([newer, older], 1, [], NOW) == [older]  # by uid, not by age


def test_a_new_pod_comes_from_the_template() -> None:
    rs = replica_set(name="web-1")
    made = new_pod(rs)
    assert made["metadata"]["generateName"] == "web-1-"
    assert made["metadata"]["labels"] == {"app": "web", "pod-template-hash": "web-1"}
    assert made["metadata"]["ownerReferences"] == [{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "uid-web-1", "controller": True,
        "blockOwnerDeletion": True}]


def test_available_is_ready_for_long_enough() -> None:
    rs = replica_set(replicas=3)
    rs["spec"]["minReadySeconds"] = 60
    pods = [pod("a", ready_for=61), pod("b", ready_for=50), pod("c", ready=False)]
    counted = status.count(rs, pods, 1, None, NOW)
    assert (counted["readyReplicas"], counted["availableReplicas"], counted["terminatingReplicas"]) == (2, 1, 1)
    assert seconds_to_next_available(rs, pods, NOW) == 10


def test_a_failure_comes_and_goes() -> None:
    rs = replica_set()
    failed = status.count(rs, [], 0, ("FailedCreate", "no"), NOW)
    assert failed["conditions"] == [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                                     "message": "no", "lastTransitionTime": "2026-11-22T15:00:00Z"}]
    assert status.count(rs | {"status": failed}, [], 0, None, NOW)["conditions"] == []
