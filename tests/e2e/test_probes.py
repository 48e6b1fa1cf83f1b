"""Probes decide whether a container gets traffic, and whether it starts again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.cluster import Kubectl, eventually
from tests.e2e.manifest import (
    Object,
    apply,
    config_map,
    container,
    container_status,
    events,
    execute,
    nginx,
    pod,
    running,
    service,
    status,
)

OFTEN = {"periodSeconds": 1, "failureThreshold": 1}

#: nginx speaks enough HTTP/2 to be a gRPC health server: a length-prefixed message and a trailer.
GRPC = r"""
server {
  listen 9000 http2;
  default_type application/grpc;
  add_trailer grpc-status 0 always;
  location = /grpc.health.v1.Health/Check { error_page 405 =200 /serving; return 405; }
  location = /serving { root /health; }
}
"""
GRPC_START = r"printf '\000\000\000\000\002\010\001' >/health/serving; exec nginx -g 'daemon off;'"


def grpc_server() -> Object:
    return nginx(command=["sh", "-c", GRPC_START], volumeMounts=[
        {"name": "conf", "mountPath": "/etc/nginx/conf.d/grpc.conf", "subPath": "grpc.conf"},
        {"name": "health", "mountPath": "/health"}])


GRPC_VOLUMES = [{"name": "conf", "configMap": {"name": "grpc"}}, {"name": "health", "emptyDir": {}}]

#: How the server in each kind of probe is made to fail, or to succeed again.
HANDLERS: dict[str, Any] = {
    "exec": ({"exec": {"command": ["cat", "/usr/share/nginx/html/index.html"]}}, "rm /usr/share/nginx/html/index.html"),
    "http": ({"httpGet": {"path": "/index.html", "port": "http"}}, "rm /usr/share/nginx/html/index.html"),
    "tcp": ({"tcpSocket": {"port": 80}}, "rm /etc/nginx/sites-enabled/default; nginx -s reload"),
    "grpc": ({"grpc": {"port": 9000}}, r"printf '\000\000\000\000\002\010\002' >/health/serving"),
}


@pytest.mark.parametrize("handler", sorted(HANDLERS))
def test_liveness(kubectl: Kubectl, handler: str) -> None:
    """As long as the probe succeeds nothing happens; once it fails the container starts again, and lives."""
    probe, breaks = HANDLERS[handler]
    probe = probe | OFTEN
    server = grpc_server() | {"livenessProbe": probe, "readinessProbe": probe | {"failureThreshold": 3}}
    running(kubectl, pod(server, volumes=GRPC_VOLUMES), config_map("grpc", **{"grpc.conf": GRPC}))
    assert container_status(kubectl, "nginx")["restartCount"] == 0
    execute(kubectl, "pod", breaks)
    eventually(lambda: container_status(kubectl, "nginx")["restartCount"] == 1)
    eventually(lambda: container_status(kubectl, "nginx")["ready"])
    found = events(kubectl)
    assert found["Unhealthy"].startswith(("Liveness probe failed: ", "Readiness probe failed: "))
    assert found["Killing"] == "Container nginx failed liveness probe, will be restarted"


def test_what_a_failing_probe_says(kubectl: Kubectl) -> None:
    address = running(kubectl, pod(nginx(), name="quiet"))
    apply(kubectl, *(pod(nginx(readinessProbe=probe | OFTEN), name=name) for name, probe in {
        "http": {"httpGet": {"path": "/absent", "port": 80}},
        "closed": {"httpGet": {"path": "/", "port": 81, "host": address}},
        "tcp": {"tcpSocket": {"port": 81, "host": address}},
        "exec": {"exec": {"command": ["sh", "-c", "echo not yet; exit 1"]}},
        "slow": {"exec": {"command": ["sleep", "10"]}},
    }.items()))

    def said(name: str) -> str:
        return str(eventually(lambda: events(kubectl, name).get("Unhealthy")))

    eventually(lambda: said("http").endswith("404"))
    assert said("http") == "Readiness probe failed: HTTP probe failed with statuscode: 404"
    assert said("closed") == (f'Readiness probe failed: Get "http://{address}:81/": dial tcp {address}:81: '
                              "connect: connection refused")
    assert said("tcp") == f"Readiness probe failed: dial tcp {address}:81: connect: connection refused"
    assert said("exec") == "Readiness probe failed: not yet\n"
    assert "timed out" in said("slow")
    for name in ("http", "closed", "tcp", "exec", "slow"):
        found = container_status(kubectl, "nginx", name)
        assert (found["ready"], found["started"], found["restartCount"]) == (False, True, 0)


def test_readiness_decides_about_traffic(kubectl: Kubectl) -> None:
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}} | OFTEN
    apply(kubectl, service("web", "pod"), pod(nginx(readinessProbe=probe)))

    def ready_addresses() -> list[str]:
        subsets = kubectl.json("get", "endpoints", "web").get("subsets") or []
        return [address["ip"] for subset in subsets for address in subset.get("addresses") or []]

    eventually(lambda: container_status(kubectl, "nginx").get("started"))
    assert ready_addresses() == []
    condition = {c["type"]: c for c in status(kubectl)["conditions"]}["Ready"]
    assert (condition["status"], condition["reason"]) == ("False", "ContainersNotReady")
    assert condition["message"] == "containers with unready status: [nginx]"
    execute(kubectl, "pod", "touch /tmp/ready")
    kubectl.wait("pod/pod", "condition=Ready")
    eventually(lambda: ready_addresses() == [status(kubectl)["podIP"]])
    execute(kubectl, "pod", "rm /tmp/ready")
    kubectl.wait("pod/pod", "condition=Ready=false")
    eventually(lambda: not ready_addresses())


def test_the_startup_probe_holds_the_others_back(kubectl: Kubectl) -> None:
    """The liveness probe would kill at once; it is not asked before the container has started."""
    slow = container("sleep 2; touch /tmp/up; sleep 1000",
                     startupProbe={"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 20},
                     livenessProbe={"exec": {"command": ["cat", "/tmp/up"]}} | OFTEN)
    never = container(startupProbe={"exec": {"command": ["false"]}} | OFTEN)
    apply(kubectl, pod(slow), pod(never, name="never"))
    eventually(lambda: container_status(kubectl)["state"].get("running"))
    assert container_status(kubectl)["started"] is False
    kubectl.wait("pod/pod", "condition=Ready")
    assert container_status(kubectl)["restartCount"] == 0
    eventually(lambda: container_status(kubectl, name="never")["restartCount"] >= 1)
    assert events(kubectl, "never")["Killing"] == "Container main failed startup probe, will be restarted"


def test_the_initial_delay_is_waited_for(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(readinessProbe={"exec": {"command": ["true"]}, "initialDelaySeconds": 3})))
    eventually(lambda: container_status(kubectl)["state"].get("running"))
    began = time.monotonic()
    assert not container_status(kubectl)["ready"]
    kubectl.wait("pod/pod", "condition=Ready")
    assert 1 < time.monotonic() - began < 10
