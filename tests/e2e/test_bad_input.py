"""What goes wrong says so in one clear line, with exit code 1, and nothing is lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually, run

POD = """
apiVersion: v1
kind: Pod
metadata: {name: bad}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: %s, imagePullPolicy: IfNotPresent, command: %s}]
"""


@pytest.mark.parametrize(("manifest", "message"), [
    ("apiVersion: v1\nkind: Pod\n  metadata: {", "error parsing"),
    ("apiVersion: v1\nkind: Pood\nmetadata: {name: x}", 'no matches for kind "Pood" in version "v1"'),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nnonsense: 1", 'unknown field "nonsense"'),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: 3", "json: cannot unmarshal"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: UPPER}", 'metadata.name: Invalid value: "UPPER"'),
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}", "spec.containers: Required value"),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 70000}]}",
     "must be between 1 and 65535"),
])
def test_a_bad_manifest_is_refused(each_kubectl: Kubectl, manifest: str, message: str) -> None:
    refused = each_kubectl("create", "-f", "-", stdin=manifest, check=False)
    assert refused.code == 1 and message in refused.err, refused


def waiting_reason(kubectl: Kubectl) -> str:
    state = kubectl.json("get", "pod", "bad")["status"].get("containerStatuses", [{}])[0].get("state", {})
    return str(state.get("waiting", {}).get("reason", ""))


def test_a_missing_image(kubectl: Kubectl) -> None:
    """The name belongs to the loopback range, where no registry listens: nothing leaves the machine."""
    kubectl.apply(POD % ("127.0.0.1:9/none", "[sh]"))
    eventually(lambda: waiting_reason(kubectl) in ("ErrImagePull", "ImagePullBackOff"))
    assert "Failed to pull image" in eventually(lambda: kubectl("get", "events").out)


def test_a_missing_program(kubectl: Kubectl) -> None:
    kubectl.apply(POD % ("busybox", "[no-such-program]"))
    eventually(lambda: waiting_reason(kubectl) in ("RunContainerError", "CrashLoopBackOff"))
    assert "no-such-program" in str(kubectl.json("get", "pod", "bad")["status"]) + kubectl("get", "events").out


def test_a_crashing_container(kubectl: Kubectl) -> None:
    kubectl.apply(POD % ("busybox", "[sh, -c, exit 3]"))
    eventually(lambda: waiting_reason(kubectl) == "CrashLoopBackOff")
    last = kubectl.json("get", "pod", "bad")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")


def test_a_missing_configmap(kubectl: Kubectl) -> None:
    kubectl.apply((POD % ("busybox", "[sleep, '100']")).replace(
        "command:", "envFrom: [{configMapRef: {name: absent}}], command:"))
    eventually(lambda: waiting_reason(kubectl) == "CreateContainerConfigError")
    kubectl("create", "configmap", "absent", "--from-literal=A=1")
    kubectl.wait("pod/bad", "condition=Ready")


def test_a_taken_port(kubectl: Kubectl) -> None:
    service = ("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\n"
               "spec: {type: NodePort, ports: [{port: 80, nodePort: 31111}]}")
    kubectl.apply(service % "first")
    refused = kubectl("apply", "-f", "-", stdin=service % "second", check=False)
    assert refused.code == 1 and "provided port is already allocated" in refused.err
    refused = kubectl("apply", "-f", "-", stdin=(service % "third").replace("31111", "80"), check=False)
    assert refused.code == 1 and "The range of valid ports is 30000-32767" in refused.err


def test_a_second_cluster_of_the_same_name(cluster: Cluster, tmp_path: Path) -> None:
    refused = cluster.sampan("up", "--kubeconfig", str(tmp_path / "k"), check=False)
    assert refused.code == 1
    assert refused.err.startswith(f'sampan: cluster "{cluster.name}" is running already: ')
    elsewhere = Cluster(cluster.name, tmp_path / "kubeconfig", tmp_path / "data").up
    with pytest.raises(AssertionError, match="exists on this machine, but not below"):
        elsewhere()
    assert cluster.kubectl()("get", "nodes").code == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (["up", "--proxy-mode", "ipvs"], "--proxy-mode ipvs is not there yet"),
    (["up", "--proxy-mode", "magic"], '--proxy-mode "magic" is unknown'),
    (["up", "--name", "Not_A_Name"], '"Not_A_Name" can\'t name a cluster'),
    (["status", "--name", "nowhere"], 'no cluster "nowhere"'),
    (["down", "--name", "nowhere"], 'no cluster "nowhere"'),
    (["node", "exec", "--name", "nowhere", "--", "true"], 'no cluster "nowhere"'),
    (["nonsense"], "No such command 'nonsense'"),
])
def test_the_command_refuses_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    options = ["--data-dir", str(tmp_path)] if arguments[0] not in ("node", "nonsense") else []
    if arguments[0] == "node":
        arguments = [*arguments[:2], "--data-dir", str(tmp_path), *arguments[2:]]
    refused = run([sys.executable, "-m", "sampan", *arguments, *options], check=False)
    assert refused.code == 1 and message in refused.err, refused
    assert "Traceback" not in refused.err


def test_without_root(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sampan", "up", "--data-dir", str(tmp_path / "x")]
    refused = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command], check=False,
                  env=os.environ | {"HOME": "/nonexistent"})
    if "Permission denied" in refused.err and "python" in refused.err.lower():
        pytest.skip("the interpreter lies where only root may read, so nobody else can even start it")
    assert refused.code == 1 and "needs root" in refused.err


def test_without_a_debian_package(tmp_path: Path) -> None:
    """PATH leads to nothing but Python, as on a machine where nothing was installed."""
    program = "import sampan.cluster.requirements as r; r.shutil.which = lambda *a, **k: None; r.check()"
    refused = run([sys.executable, "-c", program], check=False)
    assert refused.code == 1
    assert "missing: conmon, catatonit, nftables, runc (try: apt-get install" in refused.err
