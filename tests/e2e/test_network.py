"""Who reaches whom, by which address and which name; on nftables, and the essentials on iptables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, Kubectl, eventually, run
from tests.e2e.conftest import save_logs
from tests.e2e.manifest import Object, apply, container, execute, nginx, pod, running, service, status

#: A connection for each request: a Service chooses anew only then.
CURL = ["curl", "-sS", "--max-time", "3", "-H", "Connection: close"]


def web(name: str, says: str = "", **fields: object) -> Object:
    """A server that answers with its own name."""
    script = f"mkdir /www; echo {says or name} >/www/index.html; exec httpd -f -p 80 -h /www"
    ready = {"readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1}}
    return pod(container(script, **ready), name=name, **fields)


def ask(kubectl: Kubectl, address: str, name: str = "client", times: int = 1) -> str:
    """What a pod gets from a server; the error when it gets none, 143 when nothing came (Debian's wget -T crashes)."""
    once = f"timeout 3 wget -qO- http://{address}/ || echo $?"
    return execute(kubectl, name, f"for n in $(seq {times}); do {once}; done", check=False).strip()


def from_node(cluster: Cluster, address: str, times: int = 1) -> str:
    result = cluster.node(*CURL, *[f"http://{address}/"] * times, check=False)
    return (result.out + result.err).strip()


def from_host(address: str, times: int = 1) -> str:
    result = run([*CURL, *[f"http://{address}/"] * times], check=False)
    return (result.out + result.err).strip()


def cluster_ip(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.json("get", "service", name)["spec"]["clusterIP"])


def two_servers(kubectl: Kubectl) -> dict[str, str]:
    """Addresses of the pods ``one`` and ``two`` behind the Service ``web``, and of a pod ``client``."""
    labels = {"app": "web"}
    apply(kubectl, web("one", labels=labels), web("two", labels=labels), pod(container(), name="client"),
          service("web", "web"))
    kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    return {name: status(kubectl, name)["podIP"] for name in ("one", "two", "client")}


def check_paths(cluster: Cluster, kubectl: Kubectl) -> None:
    """What holds whichever way kube-proxy writes its rules."""
    addresses = two_servers(kubectl)
    apply(kubectl, service("open", "web", type="NodePort"), service("empty", "nobody"),
          service("sticky", "web", sessionAffinity="ClientIP"))
    web_ip, node_ip = cluster_ip(kubectl, "web"), status(kubectl, "one")["hostIP"]
    node_port = kubectl.json("get", "service", "open")["spec"]["ports"][0]["nodePort"]
    eventually(lambda: ask(kubectl, web_ip) in ("one", "two"))

    assert ask(kubectl, addresses["one"]) == "one"  # pod to pod
    assert from_node(cluster, addresses["two"]) == "two"  # node to pod
    assert from_host(addresses["two"]) == "two"
    for address in (web_ip, f"{node_ip}:{node_port}"):
        for said in (ask(kubectl, address, times=12), from_node(cluster, address, 12), from_host(address, 12)):
            assert set(said.split()) == {"one", "two"}, (address, said)
    sticky = cluster_ip(kubectl, "sticky")
    eventually(lambda: ask(kubectl, sticky) in ("one", "two"))
    assert len(set(ask(kubectl, sticky, times=8).split())) == 1
    # a pod reaches itself through its own Service
    eventually(lambda: set(ask(kubectl, web_ip, "one", 8).split()) == {"one", "two"})
    # without endpoints the answer is no, at once
    empty = cluster_ip(kubectl, "empty")
    assert "refused" in eventually(lambda: (said := ask(kubectl, empty)) and "refused" in said and said)
    assert from_node(cluster, empty).startswith("curl: (7)")
    # the API server answers at its Service
    kubernetes = kubectl.json("get", "service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    version = cluster.node("curl", "-sk", "--max-time", "3", f"https://{kubernetes}/version").out
    assert "gitVersion" in version
    # an endpoint that goes is asked no more
    kubectl("delete", "pod", "one", "--grace-period=1")
    eventually(lambda: set(ask(kubectl, web_ip, times=6).split()) == {"two"})


def test_paths(cluster: Cluster, kubectl: Kubectl) -> None:
    check_paths(cluster, kubectl)


@pytest.fixture
def iptables_cluster(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    other = Cluster(f"{cluster.name}-ipt", tmp_path_factory.mktemp("ipt") / "kubeconfig",
                    up_options=["--proxy-mode", "iptables"])
    other.down("--purge")
    try:
        other.up()
        yield other
    finally:
        save_logs(other)
        other.down("--purge")


def test_paths_by_iptables(iptables_cluster: Cluster) -> None:
    check_paths(iptables_cluster, iptables_cluster.kubectl())
    rules = iptables_cluster.node("iptables-save", "-t", "nat").out
    assert "KUBE-SERVICES" in rules and "default/web" in rules


def test_a_pod_reaches_the_node(cluster: Cluster, kubectl: Kubectl) -> None:
    """And the node's own server sees the pod's address: nothing is translated on the way."""
    server = container("mkdir /www; printf '#!/bin/sh\\necho; echo $REMOTE_ADDR' >/tmp/x; mkdir /www/cgi-bin; "
                       "cp /tmp/x /www/cgi-bin/who; chmod +x /www/cgi-bin/who; exec httpd -f -p 8097 -h /www")
    apply(kubectl, pod(server, name="server", hostNetwork=True))
    address = running(kubectl, pod(container(), name="client"))
    kubectl.wait("pod/server", "condition=Ready")
    node = status(kubectl, "server")["podIP"]
    seen = eventually(lambda: execute(kubectl, "client", f"timeout 3 wget -qO- http://{node}:8097/cgi-bin/who"))
    assert seen.strip().strip("[]").removeprefix("::ffff:") == address


def test_names_of_services(cluster: Cluster, kubectl: Kubectl) -> None:
    addresses = two_servers(kubectl)
    apply(kubectl, service("headless", "web", clusterIP="None"),
          {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "elsewhere"},
           "spec": {"type": "ExternalName", "externalName": f"web.{kubectl.namespace}.svc.cluster.local"}},
          web("named", hostname="me", subdomain="headless", labels={"app": "web"}))
    kubectl.wait("pod/named", "condition=Ready")
    web_ip, namespace = cluster_ip(kubectl, "web"), kubectl.namespace
    dns = kubectl.json("get", "service", "kube-dns", "-n", "kube-system")["spec"]["clusterIP"]
    named = status(kubectl, "named")["podIP"]

    def look_up(name: str) -> str:
        return execute(kubectl, "client", f"nslookup {name} {dns}", check=False)

    def answers(name: str) -> set[str]:
        lines = look_up(name).splitlines()
        return {line.split()[-1] for line in lines[2:] if line.startswith("Address")}

    domain = f"{namespace}.svc.cluster.local"
    eventually(lambda: answers(f"web.{domain}") == {web_ip})
    for name in ("web", f"web.{namespace}", f"web.{namespace}.svc", f"web.{domain}", f"web.{domain}."):
        assert ask(kubectl, name) in ("one", "two", "named"), name
    headless = {addresses["one"], addresses["two"], named}
    eventually(lambda: answers(f"headless.{domain}") == headless)
    assert answers(f"me.headless.{domain}") == {named}
    assert ask(kubectl, "me.headless") == "named"
    assert web_ip in answers(f"elsewhere.{domain}")
    assert ask(kubectl, "elsewhere") in ("one", "two", "named")
    assert f"web.{domain}" in look_up(web_ip)
    assert f"me.headless.{domain}" in look_up(named)
    assert "NXDOMAIN" in look_up(f"absent.{domain}") or "can't find" in look_up(f"absent.{domain}")
    dashed = addresses["one"].replace(".", "-")
    assert answers(f"{dashed}.{namespace}.pod.cluster.local") == {addresses["one"]}
    kubernetes = kubectl.json("get", "service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
    assert answers("kubernetes.default.svc.cluster.local") == {kubernetes}


def test_a_service_follows_its_spec(cluster: Cluster, kubectl: Kubectl) -> None:
    """Ports by name, a change of selector, and a Service that becomes a name only."""
    apply(kubectl, pod(nginx(), name="nginx"), web("plain"), pod(container(), name="client"),
          service("web", "nginx", port=8080, ports=[{"name": "x", "port": 8080, "targetPort": "http"}]))
    kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    address = cluster_ip(kubectl, "web")
    eventually(lambda: "nginx" in ask(kubectl, f"{address}:8080"))
    kubectl("patch", "service", "web", "-p",
            '{"spec":{"selector":{"app":"plain"},"ports":[{"port":8080,"name":"x","targetPort":80}]}}')
    eventually(lambda: ask(kubectl, f"{address}:8080") == "plain")
    kubectl("patch", "service", "web", "--type=merge", "-p",
            '{"spec":{"type":"ExternalName","externalName":"kubernetes.default.svc.cluster.local"}}')
    eventually(lambda: ask(kubectl, f"{address}:8080") != "plain")
    assert not kubectl.json("get", "service", "web")["spec"].get("clusterIP")


def test_addresses_are_used_again(kubectl: Kubectl) -> None:
    """A pod has one address from its start to its end, and two pods never have the same."""
    apply(kubectl, *(pod(container(), name=f"p{n}") for n in range(4)))
    kubectl("wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    pods = kubectl.json("get", "pods")["items"]
    assert len({p["status"]["podIP"] for p in pods}) == 4
    assert all(p["status"]["podIPs"] == [{"ip": p["status"]["podIP"]}] for p in pods)
