"""What a container finds around itself: variables, arguments, names, and its own processes."""

from __future__ import annotations

import json

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually
from tests.e2e.manifest import (
    Object,
    apply,
    config_map,
    container,
    container_status,
    ended,
    execute,
    once,
    output,
    pod,
    running,
    secret,
    service,
    status,
)


def variables(printed: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def field(path: str) -> Object:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def resource(name: str, divisor: str = "0") -> Object:
    return {"valueFrom": {"resourceFieldRef": {"resource": name, "divisor": divisor}}}


def test_variables_from_everywhere(kubectl: Kubectl) -> None:
    env = {
        "PLAIN": {"value": "here"}, "JOINED": {"value": "$(PLAIN) and $(FROM_MAP), $$(PLAIN), $(ABSENT)"},
        "FROM_MAP": {"valueFrom": {"configMapKeyRef": {"name": "map", "key": "a"}}},
        "FROM_SECRET": {"valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
        "OPTIONAL": {"valueFrom": {"configMapKeyRef": {"name": "map", "key": "absent", "optional": True}}},
        "LATE": {"value": "$(FROM_MAP)"},
        "NAME": field("metadata.name"), "NAMESPACE": field("metadata.namespace"), "UID_": field("metadata.uid"),
        "LABEL": field("metadata.labels['app']"), "NOTE": field("metadata.annotations['note']"),
        "NODE": field("spec.nodeName"), "ACCOUNT": field("spec.serviceAccountName"),
        "POD_IP": field("status.podIP"), "POD_IPS": field("status.podIPs"), "HOST_IP": field("status.hostIP"),
        "CPU": resource("limits.cpu"), "CPU_M": resource("requests.cpu", "1m"),
        "MEMORY": resource("limits.memory"), "MEMORY_MI": resource("requests.memory", "1Mi"),
    }
    item = once(container(
        "env", env=[{"name": name, **value} for name, value in env.items()],
        envFrom=[{"configMapRef": {"name": "map"}}, {"secretRef": {"name": "hidden"}, "prefix": "S_"},
                 {"configMapRef": {"name": "absent", "optional": True}}],
        resources={"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "16Mi"}}))
    item["metadata"]["annotations"] = {"note": "a note"}
    found = variables(output(kubectl, item, config_map("map", a="1", b="two"), secret("hidden", word="sesame")))
    there = kubectl.json("get", "pod", "pod")
    expected = {
        "PLAIN": "here", "JOINED": "here and $(FROM_MAP), $(PLAIN), $(ABSENT)", "FROM_MAP": "1", "LATE": "1",
        "FROM_SECRET": "sesame", "a": "1", "b": "two", "S_word": "sesame", "NAME": "pod",
        "NAMESPACE": kubectl.namespace, "UID_": there["metadata"]["uid"], "LABEL": "pod", "NOTE": "a note",
        "NODE": there["spec"]["nodeName"], "ACCOUNT": "default", "CPU": "2", "CPU_M": "10", "MEMORY": str(64 << 20),
        "MEMORY_MI": "16", "HOST_IP": there["status"]["hostIP"], "HOSTNAME": "pod",
        "KUBERNETES_SERVICE_HOST": found["KUBERNETES_SERVICE_HOST"], "KUBERNETES_SERVICE_PORT": "443",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["POD_IP"] == found["POD_IPS"] and found["POD_IP"].startswith("10.")
    assert "OPTIONAL" not in found


def test_without_limits_a_container_may_use_the_node(kubectl: Kubectl) -> None:
    found = variables(output(kubectl, once(container("env", env=[
        {"name": "CPU", **resource("limits.cpu", "1m")}, {"name": "MEMORY", **resource("limits.memory")}]))))
    allocatable = kubectl.json("get", "node", "node-1")["status"]["allocatable"]
    assert found["CPU"] == str(int(allocatable["cpu"]) * 1000)
    assert found["MEMORY"] == str(int(allocatable["memory"].removesuffix("Ki")) * 1024)


@pytest.mark.parametrize("links", [True, False])
def test_variables_of_services(kubectl: Kubectl, links: bool) -> None:
    apply(kubectl, service("my-web", "web", 8080))
    address = kubectl.json("get", "service", "my-web")["spec"]["clusterIP"]
    found = variables(eventually(lambda: output(kubectl, once(container("env"), enableServiceLinks=links))))
    expected = {"MY_WEB_SERVICE_HOST": address, "MY_WEB_SERVICE_PORT": "8080", "MY_WEB_SERVICE_PORT_HTTP": "8080",
                "MY_WEB_PORT": f"tcp://{address}:8080", "MY_WEB_PORT_8080_TCP": f"tcp://{address}:8080",
                "MY_WEB_PORT_8080_TCP_PROTO": "tcp", "MY_WEB_PORT_8080_TCP_PORT": "8080",
                "MY_WEB_PORT_8080_TCP_ADDR": address}
    assert {n: v for n, v in found.items() if n.startswith("MY_WEB")} == (expected if links else {})
    assert "KUBERNETES_SERVICE_HOST" in found


def test_command_and_arguments(kubectl: Kubectl) -> None:
    """Variables are filled in; each of the image's own two is kept where the pod names none."""
    said = output(kubectl, once(container(command=["echo", "$(WORD)", "$$(WORD)"], args=["$(OTHER)", "two words"],
                                          env=[{"name": "WORD", "value": "w"}])))
    assert said == "w $(WORD) $(OTHER) two words\n"
    apply(kubectl, pod({"name": "main", "image": "nginx", "imagePullPolicy": "IfNotPresent",
                        "args": ["nginx", "-v"]}, name="args", restartPolicy="Never"))
    assert ended(kubectl, "args")["phase"] == "Succeeded"
    assert "nginx version" in kubectl("logs", "args").out
    assert output(kubectl, once(container("pwd", workingDir="/usr/new"), name="where")) == "/usr/new\n"


def test_names(kubectl: Kubectl) -> None:
    script = "hostname; hostname -f; cat /etc/hosts"
    plain = output(kubectl, once(container(script), hostAliases=[{"ip": "10.9.8.7", "hostnames": ["far", "away"]}]))
    assert plain.startswith("pod\npod\n")
    assert "# Kubernetes-managed hosts file." in plain
    assert "10.9.8.7\tfar\taway\n" in plain
    assert f"{status(kubectl)['podIP'] or ''}\tpod\n" in plain
    domain = f"sub.{kubectl.namespace}.svc.cluster.local"
    named = output(kubectl, once(container(script), name="named", hostname="me", subdomain="sub"))
    assert named.startswith(f"me\nme.{domain}\n") and f"\tme.{domain}\tme\n" in named
    fqdn = output(kubectl, once(container("hostname"), name="fqdn", hostname="me", subdomain="sub",
                                setHostnameAsFQDN=True))
    assert fqdn == f"me.{domain}\n"


def test_resolv_conf(kubectl: Kubectl) -> None:
    ours = output(kubectl, once(container("cat /etc/resolv.conf")))
    search = f"search {kubectl.namespace}.svc.cluster.local svc.cluster.local cluster.local"
    dns = kubectl.json("get", "service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    assert search in ours and f"nameserver {dns}\n" in ours and "options ndots:5" in ours
    own = output(kubectl, once(container("cat /etc/resolv.conf"), name="own", dnsPolicy="None", dnsConfig={
        "nameservers": ["127.0.0.9"], "searches": ["example.test"], "options": [{"name": "ndots", "value": "2"}]}))
    assert own.split("\n")[:3] == ["search example.test", "nameserver 127.0.0.9", "options ndots:2"] or \
        sorted(own.strip().split("\n")) == ["nameserver 127.0.0.9", "options ndots:2", "search example.test"]
    more = output(kubectl, once(container("cat /etc/resolv.conf"), name="more",
                                dnsConfig={"searches": ["example.test"]}))
    assert f"{search}" in more and "example.test" in more


def test_host_network(cluster: Cluster, kubectl: Kubectl) -> None:
    """The pod has the node's address, links and name; its ports are the node's."""
    apply(kubectl, pod(container("ip -o link | wc -l; sleep 1000"), hostNetwork=True))
    kubectl.wait("pod/pod", "condition=Ready")
    found = status(kubectl)
    assert found["podIP"] == found["hostIP"]
    assert execute(kubectl, "pod", "readlink /proc/self/ns/net").strip() == cluster.node(
        "readlink", "/proc/self/ns/net").out.strip()
    assert execute(kubectl, "pod", "hostname").strip() == "node-1"
    ports = {"ports": [{"containerPort": 8099, "hostPort": 8099}]}
    apply(kubectl, pod(container(**ports), name="one", hostNetwork=True))
    kubectl.wait("pod/one", "condition=Ready")
    apply(kubectl, pod(container(**ports), name="two", hostNetwork=True))
    condition = eventually(lambda: next((c for c in status(kubectl, "two")["conditions"] if c["status"] == "False"), 0))
    assert condition["message"].startswith("0/1 nodes are available: 1 node(s) didn't have free ports for")


def test_what_this_node_can_not_do_is_refused_by_name(kubectl: Kubectl) -> None:
    apply(kubectl, pod(container(ports=[{"containerPort": 80, "hostPort": 8098}]), name="port"),
          pod(container(), name="users", hostUsers=False))
    assert "hostPort 8098 is not supported by this node" in ended(kubectl, "port")["message"]
    assert "hostUsers: false" in ended(kubectl, "users")["message"]


def test_shared_process_namespace(kubectl: Kubectl) -> None:
    containers = container("exec sleep 4321", name="one"), container(name="two")
    running(kubectl, pod(*containers, shareProcessNamespace=True))
    assert "sleep 4321" in execute(kubectl, "pod", "ps", "two")
    assert execute(kubectl, "pod", "cat /proc/1/comm", "two").strip() != "sh"
    running(kubectl, pod(*containers, name="apart"))
    assert "sleep 4321" not in execute(kubectl, "apart", "ps", "two")
    kubectl("delete", "pods", "--all", "--grace-period=1", "--wait=false")


def test_host_processes(kubectl: Kubectl) -> None:
    running(kubectl, pod(container(), hostPID=True, hostIPC=True))
    assert "sampan agent" in execute(kubectl, "pod", "ps -o args")
    assert json.loads(kubectl("get", "pod", "pod", "-o", "json").out)["spec"]["hostIPC"]
    assert container_status(kubectl)["ready"]
