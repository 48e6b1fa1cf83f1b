"""Which flows must go: decided on values."""

import socket
from dataclasses import replace

from sampan.proxy.base import ProxyConfig
from sampan.proxy.conntrack import Flow, frontends, stale
from sampan.proxy.table import Endpoint, ServicePort

CONFIG = ProxyConfig("node-1", ("172.29.0.2",))
PORT = ServicePort("default/dns", "", "udp", 53, ("10.96.0.11",), node_port=30053,
                   endpoints=(Endpoint("10.244.0.5", 5353),))
UDP, TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP


def flow(sent_to, answered_by, protocol=UDP):
    return Flow(protocol, sent_to, answered_by, b"")


def test_the_ways_into_a_service():
    assert set(frontends([PORT], CONFIG)) == {("10.96.0.11", 53), ("172.29.0.2", 30053)}
    assert frontends([replace(PORT, protocol="tcp")], CONFIG) == {}


def test_only_what_no_endpoint_answers_is_stale():
    ways = frontends([PORT], CONFIG)
    fresh = flow(("10.96.0.11", 53), ("10.244.0.5", 5353))
    gone = flow(("10.96.0.11", 53), ("10.244.0.9", 5353))
    unanswered = flow(("172.29.0.2", 30053), ("172.29.0.2", 30053))
    foreign = flow(("8.8.8.8", 53), ("8.8.8.8", 53))
    tcp = flow(("10.96.0.11", 53), ("10.244.0.9", 5353), TCP)
    assert stale([fresh, gone, unanswered, foreign, tcp], ways) == [gone, unanswered]
