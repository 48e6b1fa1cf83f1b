"""The contract of ``proxy.Proxier`` on every back end, with real packets."""

from dataclasses import replace

import pytest

from sampan.proxy.iptables import IptablesProxier
from sampan.proxy.nftables import NftablesProxier
from sampan.testing.check_proxier import CHECKS, CONFIG, CONFIGURED_CHECKS, wire

pytestmark = pytest.mark.linux

BACK_ENDS = (NftablesProxier, IptablesProxier)


@pytest.fixture(scope="module")
def wires():
    with wire() as built:
        yield built


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_promise(back_end, check, wires):
    proxier = back_end(replace(CONFIG, netns=str(wires.node)))
    try:
        check(proxier, wires)
    finally:
        proxier.remove()
        proxier.close()


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("check", CONFIGURED_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_promise_when_configured_otherwise(back_end, check, wires):
    check(back_end, wires)
