"""The way out: a pod reaches an "outside" host through masquerading, and the host is as before afterwards."""

import errno
import json
import socket
import subprocess
from pathlib import Path

import pytest

from sampan.network import links, netns
from sampan.network.egress import IP_FORWARD, Egress, close_egress, forward_policy_drops, open_egress
from sampan.network.netlink import Netlink
from sampan.network.node import NodeNetwork, create_node_network, host_mtu, remove_node_network

pytestmark = pytest.mark.linux

NETWORK = NodeNetwork("egresstest", "node-1", "172.29.79.1", "172.29.79.2")
EGRESS = Egress("egresstest", ("172.29.79.0/24",))


@pytest.fixture
def outside(tmp_path):
    """A namespace that plays the rest of the world: it knows the host's address and no route to the cluster."""
    path: Path = tmp_path / "outside"
    netns.pin(path)
    with Netlink() as host, path.open() as file:
        host.request(links.veth("uplink", "eth0", file.fileno(), 1500))
        index = links.find(host, "uplink").index
        host.request(links.address(index, "192.0.2.1", 24), links.up(index))
        with netns.open_netlink(path) as world:
            index = links.find(world, "eth0").index
            world.request(links.address(index, "192.0.2.2", 24), links.up(index))
        yield path
        host.request(links.no_link("uplink"))
    netns.unpin(path)


def reaches_outside(node):
    def knock():
        with socket.socket() as tcp:
            tcp.settimeout(0.5)
            return tcp.connect_ex(("192.0.2.2", 9)) == errno.ECONNREFUSED

    return netns.run_in(node, knock)


def tables():
    listing = json.loads(subprocess.check_output(["nft", "-j", "list", "tables"]))
    return [item["table"]["name"] for item in listing["nftables"] if "table" in item]


def test_a_node_reaches_the_outside_and_the_host_is_restored(outside, tmp_path):
    IP_FORWARD.write_text("0")
    saved = tmp_path / "run" / "before"
    node = create_node_network(NETWORK)
    try:
        assert not reaches_outside(node)
        open_egress(EGRESS, saved)
        open_egress(EGRESS, saved)
        assert reaches_outside(node)
        close_egress("egresstest", saved)
        close_egress("egresstest", saved)
    finally:
        remove_node_network(NETWORK)
    assert IP_FORWARD.read_text().strip() == "0"
    assert tables() == []
    assert not saved.parent.exists()


def test_pods_get_the_uplinks_mtu(outside):
    assert host_mtu() == 1500
    with Netlink() as host:
        index = links.find(host, "uplink").index
        host.request(links.route("0.0.0.0/0", index, "192.0.2.2"))
    subprocess.run(["ip", "link", "set", "uplink", "mtu", "1400"], check=True)
    assert host_mtu() == 1400


def test_the_last_cluster_takes_forwarding_back(tmp_path):
    IP_FORWARD.write_text("0")
    saved = tmp_path / "run" / "before"
    open_egress(Egress("one", ("10.1.0.0/16",)), saved)
    open_egress(Egress("two", ("10.2.0.0/16",)), saved)
    close_egress("one", saved)
    assert IP_FORWARD.read_text().strip() == "1"
    close_egress("two", saved)
    assert IP_FORWARD.read_text().strip() == "0"


def test_a_dropping_forward_chain_is_noticed():
    assert not forward_policy_drops()
    subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
    try:
        assert forward_policy_drops()
    finally:
        subprocess.run(["iptables", "-P", "FORWARD", "ACCEPT"], check=True)
        subprocess.run(["nft", "flush ruleset"], check=True)
