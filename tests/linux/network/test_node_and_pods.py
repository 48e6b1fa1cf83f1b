"""A node and its pods with the real kernel: who reaches whom, and what is left afterwards."""

import asyncio
import errno
import socket
import subprocess

import pytest

from sampan.network import links, netns
from sampan.network.bridge import BridgeConfig, BridgeNetwork, link_name
from sampan.network.netlink import Netlink
from sampan.network.node import NodeNetwork, create_node_network, node_networks, remove_node_network, set_link

pytestmark = pytest.mark.linux

NETWORK = NodeNetwork("nettest", "node-1", "172.29.77.1", "172.29.77.2", pod_cidr="10.77.0.0/24",
                      service_cidr="10.78.0.0/16")
OTHER = NodeNetwork("nettest", "node-2", "172.29.77.1", "172.29.77.3", pod_cidr="10.77.1.0/24")


@pytest.fixture
def node():
    yield create_node_network(NETWORK)
    remove_node_network(NETWORK)


@pytest.fixture
def pod_netns(tmp_path):
    """Makes namespaces such as the runtime makes for its sandboxes."""
    made = []

    def make(name):
        path = tmp_path / "netns" / name
        netns.pin(path)
        made.append(path)
        return str(path)

    yield make
    for path in made:
        netns.unpin(path)


@pytest.fixture
def pods(node, tmp_path):
    network = BridgeNetwork(BridgeConfig("10.77.0.0/24", tmp_path / "ipam", netns=str(node)))
    yield network
    network.close()


def reaches(path, address):
    """Whether ``address`` answers, seen from the namespace (the host's without a path).

    Nothing listens, so that the answer is a refusal."""

    def knock():
        with socket.socket() as tcp:
            tcp.settimeout(0.5)
            return tcp.connect_ex((address, 9)) == errno.ECONNREFUSED

    return netns.run_in(path, knock) if path else knock()


def state():
    with Netlink() as host:
        return {link.name for link in links.list_links(host)}, subprocess.getoutput("ip route")


def test_host_and_node_reach_each_other_and_nothing_is_left():
    before = state()
    path = create_node_network(NETWORK)
    create_node_network(NETWORK)  # a second call changes nothing
    assert reaches("", "172.29.77.2")
    assert reaches(path, "172.29.77.1")
    assert NETWORK.netns_name in subprocess.getoutput("ip netns")
    assert node_networks("nettest") == ["node-1"]
    remove_node_network(NETWORK)
    remove_node_network(NETWORK)
    assert state() == before
    assert node_networks("nettest") == []


def test_a_namespace_lost_behind_a_living_link_is_made_again():
    create_node_network(NETWORK)
    netns.unpin(NETWORK.netns_path)
    path = create_node_network(NETWORK)
    assert reaches(path, "172.29.77.1")
    remove_node_network(NETWORK)


def test_a_range_that_is_routed_elsewhere_is_refused_by_name(node):
    rival = NodeNetwork("rival", "node-1", "172.29.78.1", "172.29.78.2", pod_cidr="10.77.0.0/24")
    with pytest.raises(OSError, match=r"already has a route to 10\.77\.0\.0/24"):
        create_node_network(rival)
    remove_node_network(rival)


def test_nodes_reach_each_other_and_a_cut_link_parts_them(node):
    create_node_network(OTHER)
    try:
        assert reaches(node, "172.29.77.3")
        set_link(OTHER, up=False)
        assert not reaches("", "172.29.77.3")
        set_link(OTHER, up=True)
        assert reaches(node, "172.29.77.3")
    finally:
        remove_node_network(OTHER)


async def test_pods_reach_pods_node_and_host_without_translation(node, pods, pod_netns):
    a, b = pod_netns("a"), pod_netns("b")
    (address_a,), (address_b,) = await asyncio.gather(pods.attach("a", a), pods.attach("b", b))
    assert address_a != address_b
    assert reaches(a, address_b)
    assert reaches(a, "172.29.77.2")
    assert reaches(a, "172.29.77.1")
    assert reaches(node, address_a)
    assert reaches("", address_b)


async def test_attach_twice_is_attach_once(pods, pod_netns):
    path = pod_netns("a")
    assert await pods.attach("a", path) == await pods.attach("a", path)


async def test_attach_repairs_what_a_crash_left_half_done(node, pods, pod_netns):
    path = pod_netns("a")
    await pods.attach("a", path)
    with netns.open_netlink(node) as netlink:
        netlink.request(links.down(links.find(netlink, link_name("a")).index))
    await pods.attach("a", path)
    assert reaches(path, "10.77.0.1")


async def test_detach_frees_link_and_address(node, pods, pod_netns):
    await pods.attach("a", pod_netns("a"))
    await pods.detach("a")
    await pods.detach("a")
    with netns.open_netlink(node) as netlink:
        assert links.find(netlink, link_name("a")) is None
    assert not list((pods._config.state_dir).glob("10.*"))


async def test_many_leave_at_once_and_nobody_else_does(node, pods, pod_netns):
    await pods.attach("stays", pod_netns("stays"))
    for name in "abc":
        await pods.attach(name, pod_netns(name))
    await asyncio.gather(*(pods.detach(name) for name in "abc"), pods.detach("never attached"))
    with netns.open_netlink(node) as netlink:
        assert [name for name in ("a", "b", "c", "stays") if links.find(netlink, link_name(name))] == ["stays"]


async def test_garbage_collection_keeps_the_living(node, pods, pod_netns, tmp_path):
    a = pod_netns("a")
    await pods.attach("a", a)
    await pods.attach("b", pod_netns("b"))
    pods.close()
    restarted = BridgeNetwork(BridgeConfig("10.77.0.0/24", tmp_path / "ipam", netns=str(node)))
    await restarted.garbage_collect({"a"})
    with netns.open_netlink(node) as netlink:
        assert links.find(netlink, link_name("a")) is not None
        assert links.find(netlink, link_name("b")) is None
    assert reaches(a, "10.77.0.1")
    restarted.close()


async def test_a_missing_namespace_fails_and_leaves_no_address(pods, tmp_path):
    with pytest.raises(FileNotFoundError):
        await pods.attach("a", str(tmp_path / "nowhere"))
    assert not list((tmp_path / "ipam").glob("10.*"))
