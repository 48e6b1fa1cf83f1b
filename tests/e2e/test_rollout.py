"""Scaling and rolling under load: availability is kept, no request is lost, the Service's address stays."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.cluster import Cluster, Kubectl, eventually

#: A server should outlive the news of its end: until every node has heard, requests still come.
GRACEFUL = ('{"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":0,"maxSurge":1}},"template":{"spec":{"containers":'
            '[{"name":"nginx","lifecycle":{"preStop":{"sleep":{"seconds":1}}}}],"terminationGracePeriodSeconds":5}}}}')


@contextlib.contextmanager
def requests_throughout(cluster: Cluster, address: str, port: int = 80) -> Iterator[list[int]]:
    """Sends requests on the node while the block runs; afterwards the list holds how many were asked and lost."""
    program = str(Path(__file__).with_name("load.py"))
    command = [sys.executable, "-m", "sampan", "node", "exec", "--name", cluster.name, "--data-dir",
               str(cluster.data_dir), "--", sys.executable, program, address, str(port)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    counts: list[int] = []
    try:
        assert client.stdout.readline() == "started\n"
        yield counts
        out, _ = client.communicate(timeout=60)
        found = re.match(r"asked (\d+) lost (\d+) (.*)", out)
        assert found, out
        assert found[2] == "0", out
        counts += [int(found[1]), int(found[2])]
    finally:
        client.kill()
        client.communicate()


@contextlib.contextmanager
def lowest_availability(kubectl: Kubectl, name: str) -> Iterator[list[int]]:
    """Every value that the Deployment's availableReplicas takes while the block runs."""
    seen: list[int] = []
    watching = kubectl.start("get", "deployment", name, "-w", "-o", r"jsonpath={.status.availableReplicas}{'\n'}",
                             stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    stdout = watching.stdout
    reader = threading.Thread(target=lambda: seen.extend(int(line) if line.strip() else 0 for line in stdout))
    reader.start()
    try:
        yield seen
    finally:
        watching.terminate()
        watching.wait()
        reader.join()
        stdout.close()


def serving(kubectl: Kubectl, manifests: Path) -> str:
    """The Deployment ``web`` behind its Service; gives the Service's address once it is rolled out."""
    kubectl("apply", "-f", str(manifests / "web.yaml"))
    kubectl("patch", "deployment", "web", "-p", GRACEFUL)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    return kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}").out


def answers(cluster: Cluster, address: str) -> bool:
    return "nginx" in cluster.node("curl", "-sS", "--max-time", "5", f"http://{address}/").out


def test_no_request_is_lost_while_scaling_and_rolling(cluster: Cluster, kubectl: Kubectl, manifests: Path) -> None:
    address = serving(kubectl, manifests)
    kubectl("scale", "deployment/web", "--replicas=1")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    eventually(lambda: answers(cluster, address))
    eventually(lambda: len(kubectl.json("get", "pods")["items"]) == 1)
    with requests_throughout(cluster, address) as counts:
        for replicas in (5, 2):
            kubectl("scale", "deployment/web", f"--replicas={replicas}")
            kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        eventually(lambda: len(kubectl.json("get", "pods")["items"]) == 2)
        with lowest_availability(kubectl, "web") as available:
            kubectl("set", "env", "deployment/web", "GENERATION=2")
            kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        assert min(available) >= 2, available
    assert counts[0] > 100


def test_the_address_stays_while_every_pod_is_replaced(cluster: Cluster, kubectl: Kubectl, manifests: Path) -> None:
    address = serving(kubectl, manifests)
    before = {pod["metadata"]["uid"] for pod in kubectl.json("get", "pods", "-l", "app=web")["items"]}
    eventually(lambda: answers(cluster, address))
    kubectl("delete", "pods", "-l", "app=web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    after = {pod["metadata"]["uid"] for pod in kubectl.json("get", "pods", "-l", "app=web")["items"]}
    assert not before & after
    assert kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}").out == address
    eventually(lambda: answers(cluster, address))
