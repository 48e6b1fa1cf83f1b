"""Owners and what they own, namespaces that end, nodes that fall silent, and what every namespace is given."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually
from tests.e2e.conftest import save_logs
from tests.e2e.manifest import Object, apply, container, deployment, pod, status


def owned(name: str, owner: Object | None, **metadata: object) -> Object:
    references = [] if owner is None else [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True}]
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "ownerReferences": references, **metadata}}


def names(kubectl: Kubectl, what: str) -> list[str]:
    found = kubectl("get", what, "-o", "jsonpath={.items[*].metadata.name}").out.split()
    return [name for name in found if name != "kube-root-ca.crt"]


def replica_sets(kubectl: Kubectl, name: str = "web") -> list[Object]:
    """Oldest revision first."""
    found = kubectl.json("get", "replicasets")["items"]
    return sorted((r for r in found if r["metadata"]["name"].startswith(f"{name}-")),
                  key=lambda r: int(r["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))


def rolled_out(kubectl: Kubectl, *options: str) -> None:
    kubectl("rollout", "status", "deployment/web", "--timeout=40s", *options)


def conditions(kubectl: Kubectl) -> dict[str, Object]:
    return {c["type"]: c for c in kubectl.json("get", "deployment", "web")["status"].get("conditions") or []}


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_deleting_an_owner(kubectl: Kubectl, cascade: str) -> None:
    apply(kubectl, deployment(pod(container()), replicas=2))
    rolled_out(kubectl)
    kubectl("delete", "deployment", "web", f"--cascade={cascade}")
    if cascade == "orphan":
        assert len(names(kubectl, "replicasets")) == 1 and len(names(kubectl, "pods")) == 2
        assert "ownerReferences" not in replica_sets(kubectl)[0]["metadata"]
        kubectl("delete", "replicasets", "--all")
    if cascade == "foreground":  # the owner goes last
        assert names(kubectl, "replicasets") == []
    eventually(lambda: names(kubectl, "replicasets") == [] == names(kubectl, "pods"))


def test_a_dependent_goes_with_its_last_owner(kubectl: Kubectl) -> None:
    apply(kubectl, owned("a", None), owned("b", None))
    a, b = (kubectl.json("get", "configmap", name) for name in "ab")
    both = owned("both", a)
    both["metadata"]["ownerReferences"] += owned("x", b)["metadata"]["ownerReferences"]
    stranger = owned("stranger", {"metadata": {"name": "never", "uid": "00000000-0000-0000-0000-000000000000"}})
    apply(kubectl, both, owned("only", a), stranger)
    kubectl("delete", "configmap", "a")
    eventually(lambda: sorted(names(kubectl, "configmaps")) == ["b", "both"])  # "never" never was: gone as well
    eventually(lambda: len(kubectl.json("get", "configmap", "both")["metadata"]["ownerReferences"]) == 1)
    kubectl("delete", "configmap", "b")
    eventually(lambda: names(kubectl, "configmaps") == [])


def test_owners_in_a_circle_can_be_deleted(kubectl: Kubectl) -> None:
    apply(kubectl, owned("a", None))
    a = kubectl.json("get", "configmap", "a")
    apply(kubectl, owned("b", a))
    b = kubectl.json("get", "configmap", "b")
    apply(kubectl, owned("a", b))
    kubectl("delete", "configmap", "a", "--cascade=foreground", "--wait=false")
    eventually(lambda: names(kubectl, "configmaps") == [])


def test_a_namespace_ends_with_all_that_is_in_it(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("create", "namespace", f"{kubectl.namespace}-b")
    inside = cluster.kubectl(namespace=f"{kubectl.namespace}-b")
    eventually(lambda: inside("get", "serviceaccount", "default", check=False).code == 0)
    apply(inside, deployment(pod(container()), replicas=2), owned("held", None, finalizers=["example.com/hold"]))
    inside("rollout", "status", "deployment/web", "--timeout=40s")
    kubectl("delete", "namespace", inside.namespace, "--wait=false")
    eventually(lambda: names(inside, "pods") == [])
    namespace = eventually(lambda: (n := kubectl.json("get", "namespace", inside.namespace)) and any(
        c["type"] == "NamespaceFinalizersRemaining" and c["status"] == "True" for c in n["status"]["conditions"]) and n)
    assert namespace["status"]["phase"] == "Terminating"
    said = next(c["message"] for c in namespace["status"]["conditions"] if c["type"] == "NamespaceFinalizersRemaining")
    assert "example.com/hold in 1 resource instances" in said
    late = inside("create", "configmap", "late", check=False)
    assert late.code == 1 and "because it is being terminated" in late.err
    inside("patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl.wait(f"namespace/{inside.namespace}", "delete")


def test_what_every_namespace_is_given(kubectl: Kubectl) -> None:
    eventually(lambda: "default" in names(kubectl, "serviceaccounts"))
    ca = eventually(lambda: kubectl.json("get", "configmap", "kube-root-ca.crt")["data"]["ca.crt"])
    assert ca.startswith("-----BEGIN CERTIFICATE-----")
    kubectl("delete", "serviceaccount", "default")
    eventually(lambda: "default" in names(kubectl, "serviceaccounts"))
    kubectl("patch", "configmap", "kube-root-ca.crt", "-p", '{"data":{"ca.crt":"nonsense"}}')
    eventually(lambda: kubectl.json("get", "configmap", "kube-root-ca.crt")["data"]["ca.crt"] == ca)
    kubectl("delete", "configmap", "kube-root-ca.crt")
    eventually(lambda: kubectl("get", "configmap", "kube-root-ca.crt", check=False).code == 0)


def test_a_token_secret(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    apply(kubectl, {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": {
        "name": "lasting", "annotations": {"kubernetes.io/service-account.name": "robot"}}})
    data = eventually(lambda: (d := kubectl.json("get", "secret", "lasting").get("data")) and "token" in d and d)
    token = base64.b64decode(data["token"]).decode()
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == f"system:serviceaccount:{kubectl.namespace}:robot" and "exp" not in claims
    assert base64.b64decode(data["namespace"]).decode() == kubectl.namespace
    kubectl("delete", "serviceaccount", "robot")
    eventually(lambda: kubectl("get", "secret", "lasting", check=False).code == 1)


def test_pods_are_adopted_and_released(kubectl: Kubectl) -> None:
    """By labels alone: a ReplicaSet takes orphans that match, and lets go what doesn't match any more."""
    apply(kubectl, pod(container(), name="orphan", labels={"app": "web"}))
    kubectl.wait("pod/orphan", "condition=Ready")
    item = deployment(pod(container(), name="web"), name="set", replicas=1)
    apply(kubectl, item | {"kind": "ReplicaSet"})
    eventually(lambda: kubectl.json("get", "pod", "orphan")["metadata"]["ownerReferences"][0]["controller"])
    assert kubectl.json("get", "pod", "orphan")["metadata"]["ownerReferences"][0]["name"] == "set"
    assert names(kubectl, "pods") == ["orphan"]
    kubectl("label", "pod", "orphan", "app=other", "--overwrite")
    eventually(lambda: len(names(kubectl, "pods")) == 2)
    assert "ownerReferences" not in kubectl.json("get", "pod", "orphan")["metadata"]
    kubectl("delete", "replicaset", "set")
    eventually(lambda: names(kubectl, "pods") == ["orphan"])


def test_a_paused_deployment(kubectl: Kubectl) -> None:
    apply(kubectl, deployment(pod(container(), name="web")))
    rolled_out(kubectl)
    kubectl("rollout", "pause", "deployment/web")
    kubectl("set", "env", "deployment/web", "A=1")
    kubectl("scale", "deployment/web", "--replicas=2")  # scaling goes on
    eventually(lambda: kubectl.json("get", "deployment", "web")["status"].get("availableReplicas") == 2)
    assert len(replica_sets(kubectl)) == 1
    assert conditions(kubectl)["Progressing"]["reason"] == "DeploymentPaused"
    kubectl("rollout", "resume", "deployment/web")
    rolled_out(kubectl)
    assert len(replica_sets(kubectl)) == 2


def test_recreate(kubectl: Kubectl) -> None:
    """No old pod beside a new one, ever."""
    item = deployment(pod(container(), name="web"), replicas=2)
    item["spec"]["strategy"] = {"type": "Recreate"}
    apply(kubectl, item)
    rolled_out(kubectl)
    before = {p["metadata"]["uid"] for p in kubectl.json("get", "pods")["items"]}
    kubectl("set", "env", "deployment/web", "A=1")
    seen: list[set[str]] = []

    def replaced() -> bool:
        pods = [p for p in kubectl.json("get", "pods")["items"] if p["status"]["phase"] == "Running"]
        seen.append({p["metadata"]["uid"] for p in pods})
        return len(seen[-1] - before) == 2

    eventually(replaced)
    assert all(not (uids & before and uids - before) for uids in seen), seen


def test_progress_deadline(kubectl: Kubectl) -> None:
    never = container(readinessProbe={"exec": {"command": ["false"]}})
    item = deployment(pod(never, name="web"))
    item["spec"]["progressDeadlineSeconds"] = 2
    apply(kubectl, item)
    failed = kubectl("rollout", "status", "deployment/web", "--timeout=20s", check=False)
    assert failed.code == 1 and "exceeded its progress deadline" in failed.err
    condition = conditions(kubectl)["Progressing"]
    assert (condition["status"], condition["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert condition["message"].endswith("has timed out progressing.")


def test_revision_history(kubectl: Kubectl) -> None:
    item = deployment(pod(container(), name="web"))
    item["spec"]["revisionHistoryLimit"] = 2
    apply(kubectl, item)
    rolled_out(kubectl)
    for revision in range(2, 6):
        kubectl("set", "env", "deployment/web", f"REVISION={revision}")
        rolled_out(kubectl)
    eventually(lambda: [r["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
                        for r in replica_sets(kubectl)] == ["3", "4", "5"])
    kubectl("rollout", "undo", "deployment/web", "--to-revision=3")
    rolled_out(kubectl)
    newest = replica_sets(kubectl)[-1]
    assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "6"
    assert newest["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "REVISION", "value": "3"}]
    gone = kubectl("rollout", "undo", "deployment/web", "--to-revision=1", check=False)
    assert gone.code == 1 and "unable to find specified revision 1" in gone.err


@pytest.fixture
def watchful(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that soon takes note of a silent node."""
    other = Cluster(f"{cluster.name}-node", tmp_path_factory.mktemp("node") / "kubeconfig",
                    up_options=["--node-monitor-grace-period", "15"])
    other.down("--purge")
    try:
        other.up()
        yield other
    finally:
        save_logs(other)
        other.down("--purge")


def test_a_node_that_falls_silent(watchful: Cluster) -> None:
    """It is NotReady and tainted, and its pods are not asked any more; all that ends when its agent is back."""
    kubectl = watchful.kubectl()
    eventually(lambda: kubectl("get", "serviceaccount", "default", check=False).code == 0)
    leaving = [{"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 1}]
    apply(kubectl, pod(container()),
          pod(container(), name="leaving", tolerations=leaving, terminationGracePeriodSeconds=1))
    kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    started = status(kubectl)["containerStatuses"]
    os.kill(watchful.pid("agent"), signal.SIGKILL)
    kubectl.wait("node/node-1", "condition=Ready=Unknown", 40)
    node = kubectl.json("get", "node", "node-1")
    ready = next(c for c in node["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("NodeStatusUnknown", "Kubelet stopped posting node status.")

    def taints() -> set[tuple[str, str]]:
        found = kubectl.json("get", "node", "node-1")["spec"].get("taints") or []
        return {(taint["key"], taint["effect"]) for taint in found}

    unreachable = "node.kubernetes.io/unreachable"
    eventually(lambda: taints() == {(unreachable, "NoSchedule"), (unreachable, "NoExecute")})
    assert "NotReady" in kubectl("get", "nodes").out
    eventually(lambda: {c["type"]: c["status"] for c in status(kubectl)["conditions"]}["Ready"] == "False")
    eventually(lambda: kubectl.json("get", "pod", "leaving")["metadata"].get("deletionTimestamp"))
    watchful.up()
    kubectl.wait("node/node-1", "condition=Ready")
    eventually(lambda: taints() == set())
    kubectl.wait("pod/pod", "condition=Ready")
    assert status(kubectl)["containerStatuses"] == started  # it had gone on running
    kubectl.wait("pod/leaving", "delete")
