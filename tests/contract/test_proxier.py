"""The contract of ``proxy.Proxier`` on every back end, with real packets."""

import pytest

from sampan.proxy.iptables import IptablesProxier
from sampan.proxy.nftables import NftablesProxier
from sampan.testing.check_proxier import check_proxier

pytestmark = pytest.mark.linux


@pytest.mark.parametrize("back_end", [NftablesProxier, IptablesProxier])
def test_every_back_end_keeps_every_promise(back_end):
    check_proxier(back_end)
