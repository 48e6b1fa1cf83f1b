from __future__ import annotations

from typing import Any

import pytest

from sampan.controllers.deployment import scaling
from sampan.controllers.deployment.plan import Plan, plan
from tests.unit.controllers.make import NOW, deployment, pod, replica_set, stamp

Object = dict[str, Any]


def sizes(decided: Plan) -> dict[str, int]:
    return {u.replica_set["metadata"]["name"]: u.replica_set["spec"]["replicas"] for u in decided.updates}


def notes(decided: Plan) -> list[str]:
    every = ([decided.create] if decided.create else []) + list(decided.updates)
    return [update.note.message for update in every if update.note]


def condition(decided: Plan, type: str) -> Object:
    assert decided.status is not None
    return next(c for c in decided.status["conditions"] if c["type"] == type)


def progressing(reason: str, *, seconds_ago: float = 0, status: str = "True") -> Object:
    return {"type": "Progressing", "status": status, "reason": reason, "message": "",
            "lastUpdateTime": stamp(seconds_ago), "lastTransitionTime": stamp(seconds_ago)}


def complete(replicas: int, **more: Any) -> Object:
    return {"replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "terminatingReplicas": 0,
            "availableReplicas": replicas, "observedGeneration": 1, "unavailableReplicas": 0} | more


def test_the_first_look_makes_the_replica_set_at_full_size() -> None:
    decided = plan(deployment(3, annotations={"kubernetes.io/change-cause": "first"}), [], {}, NOW)
    assert decided.create is not None
    rs = decided.create.replica_set
    digest = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{digest}"
    assert rs["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": digest}
    assert rs["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == digest
    assert rs["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "1", "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4", "kubernetes.io/change-cause": "first"}
    assert notes(decided) == [f"Scaled up replica set web-{digest} from 0 to 3"]
    assert decided.annotations == {"deployment.kubernetes.io/revision": "1"}
    made = condition(decided, "Progressing")
    assert (made["reason"], made["message"]) == ("NewReplicaSetCreated", f'Created new replica set "web-{digest}"')
    assert condition(decided, "Available")["reason"] == "MinimumReplicasUnavailable"


def test_the_hash_depends_on_the_template_only() -> None:
    def digest(d: Object) -> str:
        decided = plan(d, [], {}, NOW)
        assert decided.create is not None
        return str(decided.create.replica_set["metadata"]["labels"]["pod-template-hash"])

    assert digest(deployment(3)) == digest(deployment(7, paused=False))
    assert digest(deployment(3)) != digest(deployment(3, image="nginx:2"))
    assert digest(deployment(3)) != digest(deployment(3, status={"collisionCount": 1}))


@pytest.mark.parametrize(("replicas", "surge", "unavailable", "expected"), [
    (10, "25%", "25%", (3, 2)),  # surge rounds up, unavailable down
    (1, "25%", "25%", (1, 0)),
    (3, 0, 0, (0, 1)),  # nothing could move otherwise
    (4, 2, 9, (2, 4)),  # never more than there are
    (0, "25%", "25%", (0, 0)),
])
def test_rounding(replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    d = deployment(replicas, strategy={"type": "RollingUpdate",
                                       "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
    assert (scaling.max_surge(d), scaling.max_unavailable(d)) == expected


def test_a_rolling_update_from_beginning_to_end() -> None:
    """Pods become available at once; every step keeps between 8 and 13 of 10."""
    d = deployment(10, image="nginx:2")
    sets = {"web-1": replica_set("nginx:1", 10, most=13)}
    for _ in range(40):
        assert sum(rs["spec"]["replicas"] for rs in sets.values()) <= 13
        assert sum(rs["status"]["availableReplicas"] for rs in sets.values()) >= 8
        decided = plan(d, list(sets.values()), {}, NOW)
        if decided.create:
            rs = decided.create.replica_set
            sets["new"] = rs | {"metadata": rs["metadata"] | {"uid": "new", "creationTimestamp": stamp()}}
        for update in decided.updates:
            key = "web-1" if update.replica_set["metadata"]["name"] == "web-1" else "new"
            sets[key] = update.replica_set
        for key, rs in sets.items():
            n = rs["spec"]["replicas"]
            sets[key] = rs | {"status": {"replicas": n, "availableReplicas": n, "readyReplicas": n}}
        d = d | {"status": decided.status or d["status"]}
    assert {key: rs["spec"]["replicas"] for key, rs in sets.items()} == {"web-1": 0, "new": 10}
    done = next(c for c in d["status"]["conditions"] if c["type"] == "Progressing")
    assert done["reason"] == "NewReplicaSetAvailable"
    assert done["message"].endswith("has successfully progressed.")


def test_unhealthy_old_pods_go_first() -> None:
    """The rollout is stuck on broken old pods: they may all go, nobody misses them."""
    old = replica_set("nginx:1", 4, available=1, desired=4)
    new = replica_set("nginx:2", 1, available=1, desired=4, revision=2, age=10)
    decided = plan(deployment(4, image="nginx:2"), [old, new], {}, NOW)
    assert sizes(decided) == {"web-1": 2}


def test_scaling_in_the_middle_of_a_rollout_keeps_proportions() -> None:
    old = replica_set("nginx:1", 8, desired=10, most=13)
    new = replica_set("nginx:2", 5, available=0, desired=10, most=13, revision=2, age=10)
    decided = plan(deployment(20, image="nginx:2"), [old, new], {}, NOW)
    assert sizes(decided) == {"web-1": 15, "web-2": 10}  # 25 = 20 + a surge of 5, shared 8 to 5
    assert "Scaled up replica set web-1 from 8 to 15" in notes(decided)
    assert all(u.replica_set["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "25"
               for u in decided.updates)


def test_plain_scaling() -> None:
    only = replica_set("nginx:1", 3)
    decided = plan(deployment(1), [only], {}, NOW)
    assert (sizes(decided), notes(decided)) == ({"web-1": 1}, ["Scaled down replica set web-1 from 3 to 1"])


def test_a_pause_stops_the_rollout_but_not_scaling() -> None:
    d = deployment(5, image="nginx:2", paused=True)
    decided = plan(d, [replica_set("nginx:1", 3)], {}, NOW)
    assert decided.create is None
    assert sizes(decided) == {"web-1": 5}
    paused = condition(decided, "Progressing")
    assert (paused["status"], paused["reason"], paused["message"]) == (
        "Unknown", "DeploymentPaused", "Deployment is paused")


def test_resuming_says_so_and_goes_on() -> None:
    d = deployment(3, image="nginx:2", status={"conditions": [progressing("DeploymentPaused", status="Unknown")]})
    decided = plan(d, [replica_set("nginx:1", 3)], {}, NOW)
    assert decided.create is not None


def test_recreate_waits_for_the_last_old_pod() -> None:
    d = deployment(3, image="nginx:2", strategy={"type": "Recreate"})
    old = replica_set("nginx:1", 3, desired=3)
    assert sizes(plan(d, [old], {}, NOW)) == {"web-1": 0}
    gone = replica_set("nginx:1", 0, desired=3)
    waiting = plan(d, [gone], {"uid-web-1": [pod("p", deleted=True)]}, NOW)
    assert waiting.create is None
    finished = plan(d, [gone], {"uid-web-1": [pod("p", phase="Succeeded")]}, NOW)
    assert finished.create is not None
    assert finished.create.replica_set["spec"]["replicas"] == 3


def test_going_back_reuses_the_old_replica_set_with_a_new_number() -> None:
    """What kubectl rollout undo does: it puts the old template back."""
    first = replica_set("nginx:1", 0, revision=1, desired=3)
    second = replica_set("nginx:2", 3, revision=2, desired=3, age=10)
    decided = plan(deployment(3, image="nginx:1"), [first, second], {}, NOW)
    assert decided.create is None
    (back,) = [u.replica_set for u in decided.updates if u.replica_set["metadata"]["name"] == "web-1"]
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert decided.annotations == {"deployment.kubernetes.io/revision": "3"}


def test_history_is_cut_when_the_rollout_is_complete() -> None:
    old = [replica_set(f"nginx:{i}", 0, revision=i, desired=3) for i in (1, 2, 3)]
    new = replica_set("nginx:4", 3, revision=4)
    d = deployment(3, image="nginx:4", revisionHistoryLimit=1, status=complete(3))
    assert [rs["metadata"]["name"] for rs in plan(d, [*old, new], {}, NOW).deletes] == ["web-1", "web-2"]


def test_the_deadline_strikes_and_is_awaited() -> None:
    stuck = replica_set("nginx:1", 3, available=0)
    before = complete(3, availableReplicas=0, readyReplicas=0)
    waiting = deployment(3, status=before | {"conditions": [progressing("ReplicaSetUpdated", seconds_ago=590)]})
    assert plan(waiting, [stuck], {}, NOW).requeue_after_seconds == 11
    late = deployment(3, status=before | {"conditions": [progressing("ReplicaSetUpdated", seconds_ago=601)]})
    struck = condition(plan(late, [stuck], {}, NOW), "Progressing")
    assert (struck["status"], struck["reason"], struck["message"]) == (
        "False", "ProgressDeadlineExceeded", 'ReplicaSet "web-1" has timed out progressing.')


def test_a_finished_rollout_is_left_alone() -> None:
    conditions = [progressing("NewReplicaSetAvailable"),
                  {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
                   "message": "Deployment has minimum availability.", "lastUpdateTime": stamp(),
                   "lastTransitionTime": stamp()}]
    d = deployment(3, status=complete(3, conditions=conditions),
                   annotations={"deployment.kubernetes.io/revision": "1"})
    assert plan(d, [replica_set("nginx:1", 3)], {}, NOW) == Plan()


def test_failures_of_a_replica_set_are_shown() -> None:
    rs = replica_set("nginx:1", 3, available=0, actual=0)
    rs["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                                   "message": "exceeded quota", "lastTransitionTime": stamp()}]
    shown = condition(plan(deployment(3), [rs], {}, NOW), "ReplicaFailure")
    assert (shown["reason"], shown["message"]) == ("FailedCreate", "exceeded quota")


def test_inputs_are_never_changed() -> None:
    import copy
    d, sets = deployment(3, image="nginx:2"), [replica_set("nginx:1", 3)]
    before = copy.deepcopy((d, sets))
    plan(d, sets, {}, NOW)
    assert (d, sets) == before
