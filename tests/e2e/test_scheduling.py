"""Where pods go, and what an unschedulable pod says."""

from __future__ import annotations

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually
from tests.e2e.manifest import Object, apply, container, events, pod, running, status

#: What upstream adds when no pod could be removed to make room.
NO_HELP = "Preemption is not helpful for scheduling."


def why(kubectl: Kubectl, name: str = "pod") -> str:
    """The message of the condition that says why a pod has no node yet."""

    def message() -> str:
        condition = {c["type"]: c for c in status(kubectl, name).get("conditions") or []}["PodScheduled"]
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        return str(condition["message"])

    found: str = eventually(message)
    assert eventually(lambda: events(kubectl, name)["FailedScheduling"]) == found
    return found


def node_affinity(*expressions: Object) -> Object:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def near(app: str, anti: bool = False) -> Object:
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
    return {"podAntiAffinity" if anti else "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


@pytest.mark.parametrize(("resources", "words"), [
    ({"cpu": "1000"}, "1 Insufficient cpu"), ({"memory": "100Ti"}, "1 Insufficient memory"),
    ({"cpu": "1000", "memory": "100Ti"}, "1 Insufficient cpu, 1 Insufficient memory"),
    ({"example.com/thing": "1"}, "1 Insufficient example.com/thing"),
])
def test_resources_that_are_not_there(kubectl: Kubectl, resources: Object, words: str) -> None:
    apply(kubectl, pod(container(resources={"requests": resources, "limits": resources})))
    said = why(kubectl)
    assert said.startswith(f"0/1 nodes are available: {words}. ")
    assert "preemption: 0/1 nodes are available: 1 " in said


def test_node_selectors_and_affinity(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod waits for its label, and is placed as soon as a node has it."""
    nobody = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    apply(kubectl, pod(container(), name="selector", nodeSelector={"test/disk": "ssd"}),
          pod(container(), name="affinity",
              affinity=node_affinity({"key": "test/disk", "operator": "In", "values": ["ssd", "nvme"]})),
          pod(container(), name="not", affinity=node_affinity({"key": "test/disk", "operator": "DoesNotExist"})))
    assert why(kubectl, "selector").startswith(nobody) and why(kubectl, "affinity").startswith(nobody)
    assert NO_HELP in why(kubectl, "selector")
    kubectl.wait("pod/not", "condition=Ready")
    kubectl("label", "node", "node-1", "test/disk=ssd")
    try:
        for name in ("selector", "affinity"):
            kubectl.wait(f"pod/{name}", "condition=Ready")
    finally:
        kubectl("label", "node", "node-1", "test/disk-")
    assert status(kubectl, "selector")["phase"] == "Running"  # a label that goes moves nobody


def test_taints_and_tolerations(kubectl: Kubectl) -> None:
    kubectl("taint", "node", "node-1", "test/only=mine:NoSchedule")
    try:
        apply(kubectl, pod(container(), name="other"),
              pod(container(), name="mine", tolerations=[
                  {"key": "test/only", "operator": "Equal", "value": "mine", "effect": "NoSchedule"}]))
        kubectl.wait("pod/mine", "condition=Ready")
        assert why(kubectl, "other").startswith(
            "0/1 nodes are available: 1 node(s) had untolerated taint")
    finally:
        kubectl("taint", "node", "node-1", "test/only-")
    kubectl.wait("pod/other", "condition=Ready")


def test_no_execute_evicts(kubectl: Kubectl) -> None:
    """At once, after tolerationSeconds, or never."""
    def tolerating(name: str, **more: object) -> Object:
        return pod(container(), name=name, tolerations=[{"key": "test/out", "operator": "Exists", **more}])

    apply(kubectl, pod(container(), name="plain"), tolerating("awhile", tolerationSeconds=2, effect="NoExecute"),
          tolerating("always", effect="NoExecute"))
    kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    kubectl("taint", "node", "node-1", "test/out=:NoExecute")
    try:
        kubectl.wait("pod/plain", "delete")
        assert kubectl("get", "pod", "awhile", check=False).code == 0
        kubectl.wait("pod/awhile", "delete")
        assert status(kubectl, "always")["phase"] == "Running"
    finally:
        kubectl("taint", "node", "node-1", "test/out-")
    assert eventually(lambda: events(kubectl, "plain")["TaintManagerEviction"]) == (
        f"Marking for deletion Pod {kubectl.namespace}/plain")


def test_pods_near_and_far_from_others(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(), name="lonely", affinity=near("friend")))
    assert why(kubectl, "lonely").startswith(
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.")
    running(kubectl, pod(container(), name="friend"))
    kubectl.wait("pod/lonely", "condition=Ready")
    apply(kubectl, pod(container(), name="shy", affinity=near("friend", anti=True)))
    assert why(kubectl, "shy").startswith(
        "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.")
    kubectl("delete", "pod", "friend")
    kubectl.wait("pod/shy", "condition=Ready")


def test_a_cordoned_node_takes_nobody(kubectl: Kubectl) -> None:
    kubectl("cordon", "node-1")
    try:
        apply(kubectl, pod(container()))
        assert why(kubectl).startswith("0/1 nodes are available: 1 node(s) were unschedulable.")
    finally:
        kubectl("uncordon", "node-1")
    kubectl.wait("pod/pod", "condition=Ready")
    assert events(kubectl)["Scheduled"] == f"Successfully assigned {kubectl.namespace}/pod to node-1"


def test_gates_spreading_and_other_schedulers(kubectl: Kubectl) -> None:
    spread = {"maxSkew": 1, "topologyKey": "test/nowhere", "whenUnsatisfiable": "DoNotSchedule",
              "labelSelector": {"matchLabels": {"app": "spread"}}}
    apply(kubectl, pod(container(), name="gated", schedulingGates=[{"name": "test/wait"}]),
          pod(container(), name="foreign", schedulerName="somebody-else"),
          pod(container(), name="spread", topologySpreadConstraints=[spread]),
          pod(container(), name="placed", nodeName="node-1"))
    kubectl.wait("pod/placed", "condition=Ready")
    assert "didn't match pod topology spread constraints (missing required label)" in why(kubectl, "spread")
    condition = {c["type"]: c for c in status(kubectl, "gated")["conditions"]}["PodScheduled"]
    assert condition["reason"] == "SchedulingGated"
    assert "SchedulingGated" in kubectl("get", "pod", "gated").out
    assert not kubectl.json("get", "pod", "foreign")["spec"].get("nodeName")
    kubectl("patch", "pod", "gated", "--type=json", "-p", '[{"op":"remove","path":"/spec/schedulingGates"}]')
    kubectl.wait("pod/gated", "condition=Ready")
