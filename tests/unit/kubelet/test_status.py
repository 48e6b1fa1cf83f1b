"""The status of a pod, from what runs of it."""

import pytest

from sampan.kubelet.actions import Failure, Termination, Verdict
from sampan.kubelet.status import pod_status
from sampan.kubelet.status_writer import difference, slight
from tests.unit.kubelet.pods import NOW, container, make_pod, ran, sandbox, seen, with_status

ONE = make_pod()
INIT = make_pod(init=[container("i1")])
NEVER = make_pod(restartPolicy="Never")


def status(pod, observed):
    return pod_status(pod, observed, ("172.29.0.2",))


def conditions(found):
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found["conditions"]}


PHASES = {
    "nothing": (ONE, seen(sandboxes=[]), "Pending"),
    "runs": (ONE, seen(ran(ONE, "app")), "Running"),
    "crash loop": (ONE, seen(ran(ONE, "app", "exited", code=1, backoff=10)), "Running"),
    "succeeded": (NEVER, seen(ran(NEVER, "app", "exited")), "Succeeded"),
    "failed": (NEVER, seen(ran(NEVER, "app", "exited", code=1)), "Failed"),
    "initializing": (INIT, seen(ran(INIT, "i1")), "Pending"),
    "Always, ended while being deleted": (
        ONE, seen(ran(ONE, "app", "exited", code=143), termination=Termination(NOW, 30)), "Failed"),
    "stays finished": (with_status(ONE, phase="Succeeded"), seen(sandboxes=[]), "Succeeded"),
}


@pytest.mark.parametrize("row", PHASES, ids=str)
def test_phase(row):
    pod, observed, wanted = PHASES[row]
    assert status(pod, observed)["phase"] == wanted


def test_running_pod():
    found = status(ONE, seen(ran(ONE, "app")))
    assert found["podIPs"] == [{"ip": "10.244.0.2"}]
    assert found["hostIPs"] == [{"ip": "172.29.0.2"}]
    assert found["qosClass"] == "BestEffort"
    assert found["observedGeneration"] == 1
    assert set(conditions(found).values()) == {("True", "")}
    (app,) = found["containerStatuses"]
    assert app["ready"] and app["started"]
    assert app["state"]["running"]["startedAt"]
    assert app["containerID"] == "sampan://app-0"


@pytest.mark.parametrize(("observed", "reason"), [
    (seen(sandboxes=[]), "ContainerCreating"),
    (seen(failures={"app": Failure("ErrImagePull", "no", NOW)}), "ErrImagePull"),
    (seen(ran(ONE, "app"), hooking=frozenset({"app-0"})), "ContainerCreating"),
    (seen(ran(ONE, "app", "exited", backoff=10)), "CrashLoopBackOff"),
])
def test_waiting_reason(observed, reason):
    assert status(ONE, observed)["containerStatuses"][0]["state"]["waiting"]["reason"] == reason


def test_app_containers_wait_for_init():
    found = status(INIT, seen(ran(INIT, "i1")))
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(found)["Initialized"] == ("False", "ContainersNotInitialized")
    assert found["initContainerStatuses"][0]["state"]["running"]


def test_crash_loop_shows_the_last_end_as_last_state():
    (app,) = status(ONE, seen(ran(ONE, "app", "exited", code=3, backoff=20, attempt=2)))["containerStatuses"]
    assert app["restartCount"] == 2
    assert app["lastState"]["terminated"]["exitCode"] == 3
    assert app["state"]["waiting"]["message"] == "back-off 20s restarting failed container=app pod=web_default(uid-web)"


def test_failed_readiness():
    found = status(ONE, seen(ran(ONE, "app"), verdicts={"app-0": Verdict(ready=False)}))
    assert conditions(found)["Ready"] == ("False", "ContainersNotReady")
    message = next(c["message"] for c in found["conditions"] if c["type"] == "Ready")
    assert message == "containers with unready status: [app]"


def test_readiness_gate_holds_ready_but_not_containers_ready():
    pod = make_pod(readinessGates=[{"conditionType": "lb/ready"}])
    found = status(pod, seen(ran(pod, "app")))
    assert conditions(found)["Ready"] == ("False", "ReadinessGatesNotReady")
    assert conditions(found)["ContainersReady"] == ("True", "")
    open_gate = with_status(pod, conditions=[{"type": "lb/ready", "status": "True"}])
    assert conditions(status(open_gate, seen(ran(pod, "app"))))["Ready"] == ("True", "")


def test_transition_times_are_kept_and_the_same_picture_is_no_change():
    first = status(ONE, seen(ran(ONE, "app")))
    later = status(with_status(ONE, **first), seen(ran(ONE, "app"), now=NOW + 50))
    assert difference(first, later) == {}


def test_patch_carries_only_what_changed():
    before = status(ONE, seen(ran(ONE, "app")))
    before["conditions"].append({"type": "lb/ready", "status": "True"})
    after = status(with_status(ONE, **before), seen(ran(ONE, "app"), verdicts={"app-0": Verdict(ready=False)}))
    changes = difference(before, after)
    assert set(changes) == {"conditions", "containerStatuses"}
    assert {c["type"] for c in changes["conditions"]} == {"Ready", "ContainersReady"}


def test_condition_loses_its_reason_when_it_becomes_true():
    unready = status(ONE, seen(ran(ONE, "app"), verdicts={"app-0": Verdict(ready=False)}))
    ready = status(with_status(ONE, **unready), seen(ran(ONE, "app")))
    found = next(c for c in difference(unready, ready)["conditions"] if c["type"] == "Ready")
    assert found["reason"] is None and found["message"] is None


def test_new_address_replaces_the_old_one():
    before = {"podIP": "10.244.0.9", "podIPs": [{"ip": "10.244.0.9"}]}
    changes = difference(before, status(ONE, seen(ran(ONE, "app"))))
    assert changes["podIPs"] == [{"ip": "10.244.0.2"}, {"$patch": "replace"}]


def test_container_that_the_runtime_forgot_has_ended_with_137():
    from sampan.kubelet.lost import with_lost

    known = [{"name": "app", "containerID": "sampan://old", "restartCount": 4, "image": "app:1", "imageID": "x",
              "state": {"running": {"startedAt": "2026-11-22T15:00:00Z"}}}]
    pod = with_status(NEVER, containerStatuses=known)
    observed = seen(sandboxes=[])
    observed = seen(*with_lost(pod, observed.state, NOW).containers, sandboxes=[])
    found = status(pod, observed)
    assert found["phase"] == "Failed"
    ended = found["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")
    assert found["containerStatuses"][0]["restartCount"] == 4


def test_host_network_pod_has_the_nodes_address():
    pod = make_pod(hostNetwork=True)
    assert status(pod, seen(ran(pod, "app"), sandboxes=[sandbox()]))["podIP"] == "172.29.0.2"


def condition(kind, value, generation=1, **more):
    return {"type": kind, "status": value, "observedGeneration": generation, "lastTransitionTime": "t", **more}


def test_what_only_says_that_a_generation_was_seen_can_wait():
    known = {"phase": "Running", "observedGeneration": 1,
             "conditions": [condition("Ready", "True"), condition("PodReadyToStartContainers", "True")]}
    seen_again = {**known, "observedGeneration": 2, "conditions": [condition("Ready", "True", 2)]}
    assert slight(known, difference(known, seen_again))
    sandbox_gone = [condition("PodReadyToStartContainers", "False", lastTransitionTime="u")]
    assert slight(known, difference(known, {**known, "conditions": sandbox_gone}))
    assert not slight({}, difference({}, {"conditions": sandbox_gone}))  # nobody knows of it yet
    assert not slight(known, difference(known, {**known, "conditions": [condition("Ready", "False")]}))
    assert not slight(known, difference(known, {**known, "phase": "Failed"}))
