"""Which back end: ``--proxy-mode``.

Upstream: cmd/kube-proxy (``--proxy-mode``), where an unusable mode is an error as well, never a silent change.
"""

from __future__ import annotations

from typing import NamedTuple

from sampan.proxy.base import Proxier, ProxyConfig, ProxyError

MODES = ("auto", "nftables", "iptables")


class Choice(NamedTuple):
    """The back end, its name, and for ``auto`` why it is not the first choice."""

    proxier: Proxier
    mode: str
    reason: str = ""


def check_mode(mode: str) -> None:
    """Raises: ProxyError, naming the mode, when there is no such back end."""
    if mode == "ipvs":
        raise ProxyError("--proxy-mode ipvs is not there yet: choose nftables or iptables")
    if mode not in MODES:
        raise ProxyError(f"--proxy-mode {mode} is unknown: choose one of {', '.join(MODES)}")


def open_proxier(mode: str, config: ProxyConfig) -> Choice:
    """Blocks for some ms. Raises: ProxyError when the mode (with ``auto``: every mode) is not possible here."""
    check_mode(mode)
    if mode == "iptables":
        return _iptables(config)
    try:
        return _nftables(config)
    except ProxyError as error:
        if mode == "nftables":
            raise
        reason = str(error)
    proxier, name, _ = _iptables(config)
    return Choice(proxier, name, reason)


def _nftables(config: ProxyConfig) -> Choice:
    from sampan.proxy.nftables import NftablesProxier  # only the mode in use is imported

    return Choice(NftablesProxier(config), "nftables")


def _iptables(config: ProxyConfig) -> Choice:
    from sampan.proxy.iptables import IptablesProxier

    return Choice(IptablesProxier(config), "iptables")
