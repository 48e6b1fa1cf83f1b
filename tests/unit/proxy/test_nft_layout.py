"""The text for nft: golden pairs of a Service port and its elements."""

from dataclasses import replace

from sampan.proxy.base import ProxyConfig
from sampan.proxy.nft_layout import base, chains, commands, elements
from sampan.proxy.table import Endpoint, ServicePort

CONFIG = ProxyConfig("node-1", ("172.29.0.2",), "10.244.0.0/16")
HERE, THERE = Endpoint("10.244.0.5", 8080, True), Endpoint("10.244.1.6", 8080)
PORT = ServicePort("default/web", "", "tcp", 80, ("10.96.0.10",), endpoints=(HERE, THERE), local_endpoints=(HERE,))


def test_a_cluster_ip():
    assert elements(PORT, CONFIG) == {
        ("cluster-ips", "10.96.0.10"): "",
        ("service-ips", "10.96.0.10 . tcp . 80"): "goto spread-2",
        ("tcp-endpoints", "10.96.0.10 . 80 . 0"): "10.244.0.5 . 8080",
        ("tcp-endpoints", "10.96.0.10 . 80 . 1"): "10.244.1.6 . 8080",
        ("hairpin", "10.244.0.5 . 10.244.0.5"): "",
    }


def test_no_endpoint_is_refused():
    found = elements(replace(PORT, endpoints=(), local_endpoints=()), CONFIG)
    assert found == {
        ("cluster-ips", "10.96.0.10"): "", ("refused", "10.96.0.10 . tcp . 80"): "goto reject-chain",
    }


def test_policy_local_without_a_local_endpoint_drops():
    found = elements(replace(PORT, internal_local=True, local_endpoints=()), CONFIG)
    assert found["refused", "10.96.0.10 . tcp . 80"] == "drop"


def test_a_node_port_is_masqueraded():
    found = elements(replace(PORT, node_port=30080), CONFIG)
    assert found["service-ips", "172.29.0.2 . tcp . 30080"] == "goto masquerade-spread-2"


def test_a_local_node_port_tells_insiders_from_outsiders():
    found = elements(replace(PORT, node_port=30080, external_local=True), CONFIG)
    key = "172.29.0.2 . tcp . 30080"
    assert found["service-ips", key] == "goto external-local"
    assert found["inside-ips", key] == "goto spread-2"
    assert found["outside-ips", key] == "goto spread-local-1"
    assert found["tcp-endpoints", "172.29.0.2 . 30080 . 65536"] == "10.244.0.5 . 8080"


def test_addresses_of_the_nodes_own_are_left_out():
    config = replace(CONFIG, own_addresses=frozenset({"10.96.0.10"}))
    assert set(elements(PORT, config)) == {("hairpin", "10.244.0.5 . 10.244.0.5")}


def test_overlapping_source_ranges_are_merged():
    guarded = replace(PORT, load_balancer_ips=("192.0.2.1",), source_ranges=("10.0.0.0/8", "10.1.0.0/16"))
    allowed = [key for name, key in elements(guarded, CONFIG) if name == "firewall-allowed"]
    assert allowed == ["192.0.2.1 . tcp . 80 . 10.0.0.0/8"]


def test_chains_are_made_once_and_what_they_go_to_first():
    known = set()
    made = chains(["goto masquerade-affinity-spread-3", "drop", "goto external-local"], known)
    names = [line.split()[4] for line in made if line.startswith("add chain")]
    assert names == ["spread-3", "affinity-spread-3", "masquerade-affinity-spread-3"]
    assert chains(["goto spread-3"], known) == []


def test_one_command_for_each_map():
    assert commands([("a", "1"), ("a", "2")], {("a", "3"): "x", ("b", "4"): ""}) == [
        "delete element ip kube-proxy a { 1, 2 }",
        "add element ip kube-proxy a { 3 : x }",
        "add element ip kube-proxy b { 4 }",
    ]


def test_without_the_pods_range_nobody_is_an_outsider():
    assert "ip daddr @cluster-ips jump mark-for-masquerade" not in base(replace(CONFIG, cluster_cidr=""))
    assert "ip saddr != 10.244.0.0/16 ip daddr @cluster-ips" in base(CONFIG)
