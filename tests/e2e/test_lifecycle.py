"""A cluster outlives its processes, lives beside others, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import NAME, Cluster, Kubectl, eventually, run
from tests.e2e.conftest import save_logs


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A second cluster beside the session's, for tests that stop it."""
    cluster = Cluster(f"{NAME}-own", tmp_path / "kubeconfig")
    cluster.down("--purge")
    yield cluster
    save_logs(cluster)
    cluster.down("--purge")


def traces() -> dict[str, set[str]]:
    """What a cluster could leave on the machine."""
    links = json.loads(run(["ip", "-j", "link"]).out)
    cgroups = {str(path) for path in Path("/sys/fs/cgroup").glob(f"**/sampan/{NAME}*/**/")}  # not another run's
    return {
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "links": {link["ifname"] for link in links},
        "routes": set(run(["ip", "route"]).out.splitlines()),
        "namespaces": set(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else set(),
        "rules": set(run(["nft", "list", "ruleset"]).out.splitlines()),
        "cgroups": cgroups,
        "processes": processes(),
    }


def processes() -> set[str]:
    found = set()
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit() and int(proc.name) != os.getpid():
            try:
                command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if command:
                found.add(f"{proc.name} {command}")
    return found


def pod_processes(kubectl: Kubectl) -> dict[str, str]:
    """Container id and start time by pod name: the same process, or not."""
    pods = kubectl.json("get", "pods")["items"]
    return {p["metadata"]["name"]: json.dumps([p["status"].get("containerStatuses"), p["status"].get("podIP")])
            for p in pods}


def test_purge_leaves_no_trace(own: Cluster, tmp_path: Path) -> None:
    before = traces()
    files_before = set(own.data_dir.iterdir())
    own.up()
    kubectl = own.kubectl()
    kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    kubectl("patch", "deployment", "web", "-p",
            '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","imagePullPolicy":"IfNotPresent"}]}}}}')
    kubectl("expose", "deployment", "web", "--port=80")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert traces() != before
    own.down("--purge")
    after = traces()
    for what, there in before.items():
        assert after[what] - there == set(), what
    assert set(own.data_dir.iterdir()) == files_before
    assert own.name not in own.kubeconfig.read_text()


@pytest.mark.parametrize("how", ["down", "kill server", "kill agent", "kill both"])
def test_up_resumes(own: Cluster, how: str) -> None:
    own.up()
    kubectl = own.kubectl()
    kubectl("apply", "-f", str(Path(__file__).parent / "manifests" / "web.yaml"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    pods, inner = pod_processes(kubectl), container_pids(own)
    assert len(pods) == 2 and inner
    if how == "down":
        own.down()
    for what in {"kill server": ["server"], "kill agent": ["agent"], "kill both": ["server", "agent"]}.get(how, []):
        os.kill(own.pid(what), signal.SIGKILL)
    assert container_pids(own) == inner, "containers must not notice"
    own.up()
    kubectl.wait("node/node-1", "condition=Ready")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert pod_processes(kubectl) == pods
    assert container_pids(own) == inner, "nothing may be started twice"
    kubectl("scale", "deployment/web", "--replicas=3")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    address = kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}").out
    assert "nginx" in eventually(lambda: own.node("curl", "-sS", "--max-time", "5", f"http://{address}/").out)


def container_pids(cluster: Cluster) -> set[int]:
    """Every process in the cluster's pods."""
    pids: set[int] = set()
    for file in Path("/sys/fs/cgroup").glob(f"**/sampan/{cluster.name}/**/cgroup.procs"):
        pids.update(map(int, file.read_text().split()))
    return pids


def test_two_clusters_side_by_side(cluster: Cluster, own: Cluster) -> None:
    own.kubeconfig.write_bytes(cluster.kubeconfig.read_bytes())
    own.up()
    contexts = {context["name"] for context in yaml.safe_load(own.kubeconfig.read_text())["contexts"]}
    assert contexts == {f"sampan-{cluster.name}", f"sampan-{own.name}"}
    own.kubectl()("create", "configmap", "mine")
    assert cluster.kubectl()("get", "configmap", "mine", check=False).code == 1
    own.down("--purge")
    assert cluster.kubectl()("get", "nodes").out


def test_status_and_kubeconfig(cluster: Cluster) -> None:
    status = cluster.sampan("status").out
    assert "node-1" in status and "Ready" in status
    printed = yaml.safe_load(cluster.sampan("kubeconfig").out)
    assert printed["current-context"] == f"sampan-{cluster.name}"
