"""The contract of a proxy back end, run with real packets between real network namespaces.

::

    client 10.77.9.2 ──┐
    endpoint a 10.77.9.3 ──┤ node (routes; the rules are here)   own address 10.77.9.1 on every link
    endpoint b 10.77.9.4 ──┘

Everybody's only neighbour is the node, as in the pod network.  Endpoints answer every TCP connection on port 8080 and
every UDP datagram on port 8053 with their name and the address they see.

    def test_mine(): check_proxier(MyProxier)  # or whatever makes one from a ProxyConfig
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from sampan.network import links, netns
from sampan.network.netlink import Netlink
from sampan.network.node import set_sysctl
from sampan.proxy.base import Proxier, ProxyConfig
from sampan.proxy.table import Endpoint, ServicePort

TCP_PORT, UDP_PORT = 8080, 8053
NODE = "10.77.9.1"
CLIENT, A, B = "10.77.9.2", "10.77.9.3", "10.77.9.4"
CLUSTER_IP, EXTERNAL_IP, NODE_PORT = "10.78.0.10", "192.0.2.10", 30080
CONFIG = ProxyConfig("node-1", (NODE,), cluster_cidr="10.77.9.0/24")

TCP = ServicePort("default/web", "", "tcp", 80, (CLUSTER_IP,), external_ips=(EXTERNAL_IP,), node_port=NODE_PORT,
                  endpoints=(Endpoint(A, TCP_PORT, True), Endpoint(B, TCP_PORT, True)))
UDP = ServicePort("default/udp", "", "udp", 53, ("10.78.0.11",),
                  endpoints=(Endpoint(A, UDP_PORT, True), Endpoint(B, UDP_PORT, True)))

Make = Callable[[ProxyConfig], Proxier]


class Wire:
    """The namespaces and the servers in them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.node = folder / "node"
        self._stop, self._stopping = socket.socketpair()
        self._threads: list[threading.Thread] = []

    def path(self, address: str) -> Path:
        return self.node if address == NODE else self._folder / address

    def build(self) -> None:
        netns.pin(self.node)
        netns.run_in(self.node, _set_up_routing)
        with netns.open_netlink(self.node) as node:
            node.request(links.up(1))
            for number, address in enumerate((CLIENT, A, B)):
                self._attach(node, f"wire{number}", address)
            # Somewhere to go for what is not rewritten: the client drops it.
            node.request(links.route("0.0.0.0/0", _index(node, "wire0"), CLIENT))
        for address in (A, B):
            self._serve(address)

    def close(self) -> None:
        self._stop.send(b"x")
        for thread in self._threads:
            thread.join()
        self._stop.close()
        self._stopping.close()
        for address in (CLIENT, A, B, NODE):
            netns.unpin(self.path(address))

    def _attach(self, node: Netlink, name: str, address: str) -> None:
        path = self.path(address)
        netns.pin(path)
        fd = os.open(path, os.O_RDONLY)
        node.request(links.veth(name, "eth0", fd, 1500))
        os.close(fd)
        index = _index(node, name)
        node.request(links.address(index, NODE, 32), links.up(index), links.route(f"{address}/32", index))
        with netns.open_netlink(path) as pod:
            index = _index(pod, "eth0")
            pod.request(links.up(1), links.up(index), links.address(index, address, 32),
                        links.route(f"{NODE}/32", index), links.route("0.0.0.0/0", index, NODE))

    def _serve(self, address: str) -> None:
        def listen() -> tuple[socket.socket, socket.socket]:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((address, UDP_PORT))
            return socket.create_server((address, TCP_PORT)), udp

        tcp, udp = netns.run_in(self.path(address), listen)
        thread = threading.Thread(target=_answer, args=(tcp, udp, self._stopping, address))
        thread.start()
        self._threads.append(thread)


def _answer(tcp: socket.socket, udp: socket.socket, stopping: socket.socket, name: str) -> None:
    with selectors.DefaultSelector() as selector, tcp, udp:
        for source in (tcp, udp, stopping):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is stopping:
                    return
                if key.fileobj is tcp:
                    connection, peer = tcp.accept()
                    with connection:
                        connection.sendall(f"{name} {peer[0]}".encode())
                else:
                    _, peer = udp.recvfrom(100)
                    udp.sendto(f"{name} {peer[0]}".encode(), peer)


def _set_up_routing() -> None:
    set_sysctl("net/ipv4/ip_forward", "1")
    set_sysctl("net/ipv4/icmp_ratelimit", "0")  # a check asks for more refusals in a second than are sent by default
    set_sysctl("net/ipv4/conf/all/send_redirects", "0")


def _index(netlink: Netlink, name: str) -> int:
    link = links.find(netlink, name)
    assert link is not None
    return link.index


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """The namespaces, gone afterwards. Needs root."""
    with tempfile.TemporaryDirectory() as folder:
        built = Wire(Path(folder))
        built.build()
        try:
            yield built
        finally:
            built.close()


def ask(wire: Wire, source: str, address: str, port: int) -> str:
    """One TCP request from ``source``: "<endpoint> <source as seen there>", or "refused", "silence"."""

    def request() -> str:
        with socket.socket() as tcp:
            tcp.settimeout(0.7)
            try:
                tcp.connect((address, port))
                return tcp.recv(100).decode()
            except TimeoutError:
                return "silence"
            except ConnectionRefusedError:
                return "refused"

    return netns.run_in(wire.path(source), request)


def ask_udp(wire: Wire, source: str, address: str, port: int, *, from_port: int = 0) -> str:
    def request() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.7)
            udp.bind(("0.0.0.0", from_port))
            udp.connect((address, port))
            try:
                udp.send(b"?")
                return udp.recv(100).decode()
            except TimeoutError:
                return "silence"
            except (ConnectionRefusedError, PermissionError):  # the latter for the node's own packets
                return "refused"

    return netns.run_in(wire.path(source), request)


def spread(wire: Wire, source: str, address: str, port: int, count: int = 24) -> Counter[str]:
    """How many of ``count`` requests each endpoint answered."""
    return Counter(ask(wire, source, address, port).split()[0] for _ in range(count))


def check_proxier(make: Make) -> None:
    """Every promise in turn, each on fresh rules. Needs root. Raises: AssertionError, naming the promise."""
    with wire() as built:
        for check in CHECKS:
            proxier = make(replace(CONFIG, netns=str(built.node)))
            try:
                check(proxier, built)
            except Exception as error:
                raise AssertionError(f"{check.__name__}: {error}") from error
            finally:
                proxier.remove()
                proxier.close()
        for configured in CONFIGURED_CHECKS:
            configured(make, built)


def cluster_ip_spreads_over_the_endpoints(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80)) == {A, B}
    assert ask(wire, CLIENT, CLUSTER_IP, 80).split()[1] == CLIENT, "a pod's own address is kept"
    assert set(spread(wire, NODE, CLUSTER_IP, 80)) == {A, B}, "the node itself reaches Services"


def a_removed_endpoint_gets_nothing(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,)})
    proxier.update({"default/web": (replace(TCP, endpoints=TCP.endpoints[:1]),)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80)) == {A}
    proxier.update({"default/web": (TCP,)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80)) == {A, B}


def no_endpoints_means_refused(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (replace(TCP, endpoints=()),), "default/udp": (replace(UDP, endpoints=()),)})
    for source in (CLIENT, NODE):
        assert ask(wire, source, CLUSTER_IP, 80) == "refused", source
        assert ask(wire, source, NODE, NODE_PORT) == "refused", source
        assert ask(wire, source, EXTERNAL_IP, 80) == "refused", source
        assert ask_udp(wire, source, "10.78.0.11", 53) == "refused", source


def a_deleted_service_is_gone(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,), "default/udp": (UDP,)})
    proxier.update({"default/web": ()})
    assert ask(wire, CLIENT, CLUSTER_IP, 80) in ("silence", "refused")
    assert ask(wire, CLIENT, NODE, NODE_PORT) == "refused"
    assert ask_udp(wire, CLIENT, "10.78.0.11", 53).split()[0] in (A, B), "the other one goes on"


def node_port_answers_and_is_masqueraded(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,)})
    assert set(spread(wire, CLIENT, NODE, NODE_PORT)) == {A, B}
    assert ask(wire, CLIENT, NODE, NODE_PORT).split()[1] == NODE, "answers must come back by this node"
    assert set(spread(wire, NODE, NODE, NODE_PORT)) == {A, B}


def external_ip_answers(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,)})
    assert set(spread(wire, CLIENT, EXTERNAL_IP, 80)) == {A, B}


def a_pod_reaches_itself_through_its_service(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (replace(TCP, endpoints=TCP.endpoints[:1]),)})
    assert ask(wire, A, CLUSTER_IP, 80) == f"{A} {NODE}"


def affinity_keeps_a_client_at_its_endpoint(proxier: Proxier, wire: Wire) -> None:
    sticky = replace(TCP, affinity_seconds=100)
    proxier.replace({"default/web": (sticky,)})
    first = spread(wire, CLIENT, CLUSTER_IP, 80, 12)
    assert len(first) == 1, first
    (chosen,) = first
    rest = tuple(e for e in TCP.endpoints if e.address != chosen)
    proxier.update({"default/web": (replace(sticky, endpoints=rest),)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80, 6)) == {rest[0].address}, "its endpoint has gone"
    proxier.update({"default/web": (sticky,)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80, 6)) == {rest[0].address}, "and does not come back to it"


def affinity_survives_a_full_replacement(proxier: Proxier, wire: Wire) -> None:
    sticky = {"default/web": (replace(TCP, affinity_seconds=100),)}
    proxier.replace(sticky)
    (chosen,) = spread(wire, CLIENT, CLUSTER_IP, 80, 4)
    for _ in range(3):
        proxier.replace(sticky)
        assert set(spread(wire, CLIENT, CLUSTER_IP, 80, 4)) == {chosen}


def udp_is_forwarded(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/udp": (UDP,)})
    assert {ask_udp(wire, CLIENT, "10.78.0.11", 53).split()[0] for _ in range(24)} == {A, B}


def internal_policy_local_stays_on_the_node(proxier: Proxier, wire: Wire) -> None:
    here, there = Endpoint(A, TCP_PORT, True), Endpoint(B, TCP_PORT)
    local = replace(TCP, endpoints=(here, there), local_endpoints=(here,), internal_local=True)
    proxier.replace({"default/web": (local,)})
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80)) == {A}
    proxier.update({"default/web": (replace(local, endpoints=(there,), local_endpoints=()),)})
    assert ask(wire, CLIENT, CLUSTER_IP, 80) == "silence"


def external_policy_local_keeps_the_source_and_the_node(proxier: Proxier, wire: Wire) -> None:
    here, there = Endpoint(A, TCP_PORT, True), Endpoint(B, TCP_PORT)
    local = replace(TCP, endpoints=(here, there), local_endpoints=(here,), external_local=True)
    proxier.replace({"default/web": (local,)})
    assert set(spread(wire, CLIENT, NODE, NODE_PORT)) == {A, B}, "pods are inside the cluster"
    assert set(spread(wire, NODE, NODE, NODE_PORT)) == {A, B}, "so is the node"


def external_policy_local_from_outside(make: Make, wire: Wire) -> None:
    """The client is an outsider when the pods' range does not hold it."""
    here, there = Endpoint(A, TCP_PORT, True), Endpoint(B, TCP_PORT)
    local = replace(TCP, endpoints=(here, there), local_endpoints=(here,), external_local=True)
    proxier = make(replace(CONFIG, cluster_cidr="10.77.9.3/32", netns=str(wire.node)))
    try:
        proxier.replace({"default/web": (local,)})
        assert set(spread(wire, CLIENT, NODE, NODE_PORT)) == {A}
        assert ask(wire, CLIENT, NODE, NODE_PORT).split()[1] == CLIENT, "the client's address is kept"
        assert ask(wire, CLIENT, CLUSTER_IP, 80).split()[1] == NODE, "who comes from outside is masqueraded"
        proxier.update({"default/web": (replace(local, endpoints=(there,), local_endpoints=()),)})
        assert ask(wire, CLIENT, NODE, NODE_PORT) == "silence"
    finally:
        proxier.remove()
        proxier.close()


def source_ranges_shut_others_out(proxier: Proxier, wire: Wire) -> None:
    guarded = replace(TCP, load_balancer_ips=("192.0.2.20",), source_ranges=("10.77.9.2/32", "10.77.9.2/31"))
    proxier.replace({"default/web": (guarded,)})
    assert ask(wire, CLIENT, "192.0.2.20", 80).split()[0] in (A, B)
    assert ask(wire, B, "192.0.2.20", 80) == "silence"
    assert ask(wire, B, CLUSTER_IP, 80).split()[0] in (A, B)


def two_services_for_one_external_address(proxier: Proxier, wire: Wire) -> None:
    rival = replace(TCP, service="default/rival", cluster_ips=("10.78.0.12",), node_port=0, endpoints=TCP.endpoints[1:])
    proxier.replace({"default/web": (replace(TCP, endpoints=TCP.endpoints[:1]),)})
    proxier.update({"default/rival": (rival,)})
    assert set(spread(wire, CLIENT, EXTERNAL_IP, 80, 8)) == {A}, "the first one has it"
    proxier.update({"default/web": ()})
    assert set(spread(wire, CLIENT, EXTERNAL_IP, 80, 8)) == {B}, "then the second"


def own_addresses_are_left_alone(make: Make, wire: Wire) -> None:
    """Nothing must happen to packets for a Service address that the node answers itself."""
    proxier = make(replace(CONFIG, own_addresses=frozenset({CLUSTER_IP}), netns=str(wire.node)))
    with netns.open_netlink(wire.node) as node:
        node.request(links.address(1, CLUSTER_IP, 32))
        try:
            proxier.replace({"default/web": (TCP,)})
            assert ask(wire, CLIENT, CLUSTER_IP, 80) == "refused", "nothing listens there"
        finally:
            node.request(links.no_address(1, CLUSTER_IP, 32))
            proxier.remove()
            proxier.close()


def foreign_changes_are_noticed_and_repaired(proxier: Proxier, wire: Wire) -> None:
    table = {"default/web": (TCP,)}
    proxier.replace(table)
    assert proxier.is_intact()
    other = type(proxier)(replace(CONFIG, netns=str(wire.node)))  # type: ignore[call-arg]
    other.remove()
    other.close()
    assert not proxier.is_intact()
    proxier.replace(table)
    assert proxier.is_intact()
    assert set(spread(wire, CLIENT, CLUSTER_IP, 80)) == {A, B}


def removal_leaves_nothing(proxier: Proxier, wire: Wire) -> None:
    proxier.replace({"default/web": (TCP,)})
    proxier.remove()
    proxier.remove()
    assert ask(wire, CLIENT, NODE, NODE_PORT) == "refused"


CHECKS: tuple[Callable[[Proxier, Wire], None], ...] = (
    cluster_ip_spreads_over_the_endpoints,
    a_removed_endpoint_gets_nothing,
    no_endpoints_means_refused,
    a_deleted_service_is_gone,
    node_port_answers_and_is_masqueraded,
    external_ip_answers,
    a_pod_reaches_itself_through_its_service,
    affinity_keeps_a_client_at_its_endpoint,
    affinity_survives_a_full_replacement,
    udp_is_forwarded,
    internal_policy_local_stays_on_the_node,
    external_policy_local_keeps_the_source_and_the_node,
    source_ranges_shut_others_out,
    two_services_for_one_external_address,
    foreign_changes_are_noticed_and_repaired,
    removal_leaves_nothing,
)

#: Those that need another configuration make their own.
CONFIGURED_CHECKS: tuple[Callable[[Make, Wire], None], ...] = (
    external_policy_local_from_outside,
    own_addresses_are_left_alone,
)
