"""Node, pods, proxy and DNS together: what a pod, the node and the host get from a Service's name and address."""

import asyncio
import errno
import socket
import threading

import dnslib
import pytest

from sampan.dns.answer import Responder
from sampan.dns.forward import Forwarder
from sampan.dns.records import records_for
from sampan.dns.run import add_loopback_address
from sampan.dns.server import DnsServer
from sampan.dns.zone import Zone
from sampan.network import netns
from sampan.network.bridge import BridgeConfig, BridgeNetwork
from sampan.network.node import NodeNetwork, create_node_network, remove_node_network
from sampan.proxy.base import ProxyConfig
from sampan.proxy.iptables import IptablesProxier
from sampan.proxy.nftables import NftablesProxier
from sampan.proxy.table import service_ports

pytestmark = pytest.mark.linux

NODE = NodeNetwork("svctest", "node-1", "172.29.77.1", "172.29.77.2", pod_cidr="10.77.0.0/24",
                   service_cidr="10.78.0.0/16")
CLUSTER_IP, DNS = "10.78.0.20", "10.78.0.10"
NAME = "web.default.svc.cluster.local"


def ask(path, address):
    """One TCP request seen from the namespace (the host's without a path): what the server says it saw."""

    def request():
        with socket.socket() as tcp:
            tcp.settimeout(1)
            if (code := tcp.connect_ex((address, 80))) != 0:
                return errno.errorcode[code]
            return tcp.recv(100).decode()

    return netns.run_in(path, request) if path else request()


def resolve(path, name):
    def request():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(2)
            udp.connect((DNS, 53))
            udp.send(bytes(dnslib.DNSRecord.question(name).pack()))
            return [str(rr.rdata) for rr in dnslib.DNSRecord.parse(udp.recv(512)).rr]

    return netns.run_in(path, request) if path else request()


@pytest.fixture(params=[NftablesProxier, IptablesProxier])
def world(request, tmp_path):
    """(node, client pod, server pod, server's address), everything running."""
    node = create_node_network(NODE)
    pods = BridgeNetwork(BridgeConfig("10.77.0.0/24", tmp_path / "ipam", netns=str(node)))
    paths = {name: tmp_path / "netns" / name for name in ("client", "server")}
    for path in paths.values():
        netns.pin(path)
    addresses = {name: asyncio.run(pods.attach(name, str(path)))[0] for name, path in paths.items()}
    web = {"metadata": {"name": "web", "namespace": "default"},
           "spec": {"clusterIP": CLUSTER_IP, "ports": [{"port": 80}]}}
    kube_dns = {"metadata": {"name": "kube-dns", "namespace": "kube-system"},
                "spec": {"clusterIP": DNS, "ports": [{"port": 53, "protocol": "UDP"}]}}
    slices = [{"metadata": {"namespace": "default"}, "ports": [{"port": 8080}],
               "endpoints": [{"addresses": [addresses["server"]], "nodeName": "node-1"}]}]
    proxier = request.param(ProxyConfig("node-1", (NODE.node_address,), "10.77.0.0/24", frozenset({DNS}), str(node)))
    proxier.replace({"default/web": service_ports(web, slices, "node-1"),
                     "kube-system/kube-dns": service_ports(kube_dns, [], "node-1")})
    with web_server(paths["server"], addresses["server"]), dns_server(node, web):
        yield node, paths["client"], paths["server"], addresses
    proxier.close()
    pods.close()
    for path in paths.values():
        netns.unpin(path)
    remove_node_network(NODE)


class web_server:
    """Says who asked. Ends when its socket is shut down."""

    def __init__(self, path, address):
        self.socket = netns.run_in(path, lambda: socket.create_server((address, 8080)))
        self.thread = threading.Thread(target=self.serve)

    def serve(self):
        while True:
            try:
                connection, peer = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(f"hello {peer[0]}".encode())

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class dns_server:
    def __init__(self, node, service):
        self.node, self.service = node, service
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: netns.run_in(node, self.serve))

    def serve(self):
        self.loop.run_until_complete(self.run())

    async def run(self):
        add_loopback_address(DNS)
        zone = Zone("cluster.local")
        zone.update("default/web", records_for(self.service, [], "cluster.local"))
        server = DnsServer(Responder(zone, Forwarder([])), [DNS])
        await server.start()
        self.stop = asyncio.Event()
        self.ready.set()
        await self.stop.wait()
        await server.close()

    def __enter__(self):
        self.thread.start()
        assert self.ready.wait(5)

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()


def test_from_a_name_to_an_answer(world):
    node, client, server, addresses = world
    assert resolve(client, NAME) == [CLUSTER_IP]
    assert resolve(node, NAME) == [CLUSTER_IP]
    assert resolve("", NAME) == [CLUSTER_IP], "the host, with its resolver pointed here"
    assert ask(client, CLUSTER_IP) == f"hello {addresses['client']}", "pods keep their address"
    assert ask(server, CLUSTER_IP) == "hello 10.77.0.1", "a pod reaches itself, through the node"
    assert ask(node, CLUSTER_IP) == "hello 10.77.0.1"
    assert ask("", CLUSTER_IP) == "hello 10.77.0.1", "the host is outside the pods' range, so masqueraded"
