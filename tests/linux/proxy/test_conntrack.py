"""A client that keeps sending from one port follows the Service to its new endpoint."""

from dataclasses import replace

import pytest

from sampan.network import netns
from sampan.network.netlink import NETLINK_NETFILTER
from sampan.proxy import conntrack
from sampan.proxy.nftables import NftablesProxier
from sampan.testing.check_proxier import CLIENT, CONFIG, UDP, A, B, ask_udp, wire

pytestmark = pytest.mark.linux


def test_stale_udp_flows_are_forgotten():
    with wire() as built:
        config = replace(CONFIG, netns=str(built.node))
        proxier = NftablesProxier(config)
        proxier.replace({"default/udp": (replace(UDP, endpoints=UDP.endpoints[:1]),)})
        assert ask_udp(built, CLIENT, "10.78.0.11", 53, from_port=5555).startswith(A)

        moved = replace(UDP, endpoints=UDP.endpoints[1:])
        proxier.update({"default/udp": (moved,)})
        assert ask_udp(built, CLIENT, "10.78.0.11", 53, from_port=5555).startswith(A), "the kernel remembers"

        with netns.open_netlink(built.node, NETLINK_NETFILTER) as netlink:
            old = conntrack.stale(conntrack.list_flows(netlink), conntrack.frontends([moved], config))
            assert [flow.answered_by[0] for flow in old] == [A]
            conntrack.forget(netlink, old)
            conntrack.forget(netlink, old)  # a second call does nothing
        assert ask_udp(built, CLIENT, "10.78.0.11", 53, from_port=5555).startswith(B)
        proxier.close()
