"""Link names fit the kernel's 15 bytes and differ where they must."""

from sampan.network import netns
from sampan.network.bridge import BridgeConfig, link_name
from sampan.network.egress import Egress, rules
from sampan.network.node import NodeNetwork, node_networks


def network(cluster, node):
    return NodeNetwork(cluster, node, "172.29.0.1", "172.29.0.2")


def test_link_names_fit_and_are_unique_per_cluster_and_node():
    long = "a-very-long-cluster-name-indeed"
    names = {network(c, n).host_link for c in ("default", long) for n in ("node-1", "node-2")}
    assert len(names) == 4
    assert all(len(name) <= 15 for name in names)
    assert len(link_name("f" * 64)) <= 15


def test_the_namespace_is_named_for_ip_netns():
    assert str(network("default", "node-1").netns_path) == "/run/netns/sampan-default.node-1"


def test_a_cluster_owns_no_node_of_one_whose_name_begins_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(netns, "RUN_NETNS", tmp_path)
    for cluster in ("web", "web-node"):
        network(cluster, "node-1").netns_path.touch()
    assert node_networks("web") == node_networks("web-node") == ["node-1"]
    assert node_networks("we") == []


def test_the_gateway_is_the_first_address_of_the_nodes_range(tmp_path):
    config = BridgeConfig("10.244.3.0/24", tmp_path)
    assert config.gateway == "10.244.3.1"
    assert config.mac[0] & 0b11 == 0b10  # locally administered, not multicast


def test_egress_masquerades_only_what_leaves_the_cluster():
    text = rules(Egress("default", ("10.244.0.0/16", "172.29.0.0/24"), ("10.96.0.0/16",)))
    wanted = "ip saddr { 10.244.0.0/16, 172.29.0.0/24 } ip daddr != { 10.244.0.0/16, 172.29.0.0/24, 10.96.0.0/16 }"
    assert wanted + " masquerade" in text
