"""The second back end: iptables, for kernels and tools without nftables.

``iptables_layout.py`` says what the chains look like; this file gives ``iptables-restore`` those that have changed,
all in one transaction per table.  Whether Debian's ``iptables`` speaks to nf_tables or to the legacy tables does not
matter here; both know ``--noflush``.

Client affinity lives in the match ``recent`` by the endpoint's chain name, and so outlives a replacement.

Upstream: pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

import shutil
import subprocess

from sampan.network import netns
from sampan.proxy.base import ProxyConfig, ProxyError
from sampan.proxy.iptables_layout import JUMPS, Chains, chains, is_ours, restore_text
from sampan.proxy.table import ServicePort, Table

_PROGRAMS = ("iptables", "iptables-save", "iptables-restore")
_WAIT = "-w"  # for the lock that all users of the legacy tables share


class IptablesProxier:
    """A ``Proxier``."""

    def __init__(self, config: ProxyConfig) -> None:
        """Raises: ProxyError when iptables is not there or not allowed."""
        self._config = config
        self._table: dict[str, tuple[ServicePort, ...]] = {}
        self._chains: Chains = {}
        for program in _PROGRAMS:
            if shutil.which(program) is None:
                raise ProxyError(f"{program} is not installed: install the package iptables")
        try:
            self._run("iptables-save", "-t", "nat")
        except OSError as error:
            raise ProxyError(f"iptables cannot be used: {error}") from error

    def replace(self, table: Table) -> None:
        self._table = dict(table)
        self._chains = self._left_over()
        self._apply()
        for where, chain, rule in JUMPS:
            words = rule.split()
            if not self._succeeds("iptables", _WAIT, "-t", where, "-C", chain, *words):
                self._run("iptables", _WAIT, "-t", where, "-I", chain, *words)

    def update(self, changes: Table) -> None:
        for service, ports in changes.items():
            if ports:
                self._table[service] = ports
            else:
                self._table.pop(service, None)
        self._apply()

    def is_intact(self) -> bool:
        """As upstream: a chain that nobody uses is missing when somebody has cleared the tables."""
        return self._succeeds("iptables", _WAIT, "-t", "nat", "-S", "KUBE-PROXY-CANARY")

    def remove(self) -> None:
        for where, chain, rule in JUMPS:
            while self._succeeds("iptables", _WAIT, "-t", where, "-D", chain, *rule.split()):
                pass  # as often as it is there
        text = restore_text(self._left_over(), {})
        if text:
            self._run("iptables-restore", _WAIT, "--noflush", text=text)
        self._table, self._chains = {}, {}

    def close(self) -> None:
        """Nothing is held."""

    def _apply(self) -> None:
        wanted = chains(self._table, self._config)
        text = restore_text(self._chains, wanted)
        if text:
            self._run("iptables-restore", _WAIT, "--noflush", text=text)
        self._chains = wanted

    def _left_over(self) -> Chains:
        """Our chains that are in the kernel, with a rule that no wanted chain has: all are to be written again."""
        found: Chains = {}
        for table in ("filter", "nat"):
            for line in self._run("iptables-save", "-t", table).splitlines():
                name = line[1:].split(" ", 1)[0]
                if line.startswith(":") and is_ours(name):
                    found[table, name] = ["unknown"]
        return found

    def _succeeds(self, *command: str) -> bool:
        try:
            self._run(*command)
        except OSError:
            return False
        return True

    def _run(self, *command: str, text: str = "") -> str:
        def run() -> subprocess.CompletedProcess[str]:
            return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

        done = netns.run_in(self._config.netns, run) if self._config.netns else run()
        if done.returncode:
            raise OSError(f"{command[0]}: {done.stderr.strip()[:1000]}")
        return done.stdout
