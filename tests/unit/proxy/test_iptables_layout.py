"""Chains and rules as text: golden pairs, and what is sent when something changes."""

from dataclasses import replace

from sampan.proxy.base import ProxyConfig
from sampan.proxy.iptables_layout import chain_name, chains, is_ours, restore_text
from sampan.proxy.table import Endpoint, ServicePort

CONFIG = ProxyConfig("node-1", ("172.29.0.2",), "10.244.0.0/16")
HERE, THERE = Endpoint("10.244.0.5", 8080, True), Endpoint("10.244.1.6", 8080)
PORT = ServicePort("default/web", "http", "tcp", 80, ("10.96.0.10",), endpoints=(HERE, THERE), local_endpoints=(HERE,))
SVC, SEP_HERE, SEP_THERE = chain_name("SVC", PORT), chain_name("SEP", PORT, HERE), chain_name("SEP", PORT, THERE)
COMMENT = '-m comment --comment "default/web:http"'


def made(port=PORT, config=CONFIG):
    return chains({port.service: (port,)}, config)


def test_names_fit_and_differ():
    names = {SVC, SEP_HERE, SEP_THERE, chain_name("SVC", replace(PORT, protocol="udp"))}
    assert len(names) == 4
    assert all(len(name) <= 28 and is_ours(name) for name in names)
    assert not is_ours("KUBE-FIREWALL")  # the kubelet's


def test_a_cluster_ip():
    found = made()
    to = f"-d 10.96.0.10/32 -p tcp -m tcp --dport 80 {COMMENT}"
    assert found["nat", "KUBE-SERVICES"] == [f"{to} -j {SVC}", "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"]
    assert found["nat", SVC] == [
        f"! -s 10.244.0.0/16 {to} -j KUBE-MARK-MASQ",
        f"{COMMENT} -m statistic --mode random --probability 0.5000000000 -j {SEP_HERE}",
        f"{COMMENT} -j {SEP_THERE}",
    ]
    assert found["nat", SEP_HERE] == [
        "-s 10.244.0.5/32 -j KUBE-MARK-MASQ", "-p tcp -m tcp -j DNAT --to-destination 10.244.0.5:8080",
    ]


def test_no_endpoint_is_refused():
    assert "REJECT" in made(replace(PORT, endpoints=(), local_endpoints=()))["filter", "KUBE-SERVICES"][0]


def test_affinity_comes_before_chance():
    rules = made(replace(PORT, affinity_seconds=10))["nat", SVC]
    assert rules[1] == f"-m recent --name {SEP_HERE} --rcheck --seconds 10 --reap -j {SEP_HERE}"


def test_only_what_changed_is_sent():
    before, after = made(), made(replace(PORT, endpoints=(HERE,)))
    text = restore_text(before, after)
    assert text.splitlines()[:3] == ["*nat", f":{SVC} - [0:0]", f":{SEP_THERE} - [0:0]"]
    assert text.splitlines()[-2:] == [f"-X {SEP_THERE}", "COMMIT"]
    assert "KUBE-SERVICES" not in text
    assert restore_text(after, after) == ""


def test_addresses_of_the_nodes_own_are_left_out():
    found = made(config=replace(CONFIG, own_addresses=frozenset({"10.96.0.10"})))
    assert found["nat", "KUBE-SERVICES"] == ["-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"]
