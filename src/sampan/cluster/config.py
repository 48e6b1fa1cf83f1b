"""What a cluster is called, where it lives and which addresses it has: decided once, kept in ``cluster.json``.

Several clusters share a machine, so each gets ranges and a port of its own: the first free slot, counted from 0.

    slot n    pods 10.(244-n).0.0/16    services 10.(96+n).0.0/16    node link 172.29.n.0/24    API port 6443+n

Slot 0 has the ranges that kubeadm's documentation uses.
"""

from __future__ import annotations

import dataclasses
import fcntl
import ipaddress
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATA_DIR = "/var/lib/sampan"
SLOTS = 64
RESERVED_NAMES = {"images"}  # a directory beside the clusters
PROXY_MODES = ("auto", "nftables", "iptables")


class ClusterError(Exception):
    """Something is in the way of what the user asked for; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """All that the server, the agents and the commands must agree on."""

    name: str
    data_dir: str
    slot: int
    api_port: int
    pod_cidr: str
    service_cidr: str
    link_cidr: str
    proxy_mode: str = "auto"
    egress: bool = True
    domain: str = "cluster.local"
    node_monitor_grace_period_seconds: float = 50  # how long a node may be silent

    @property
    def directory(self) -> Path:
        return Path(self.data_dir) / self.name

    @property
    def pki(self) -> Path:
        return self.directory / "server" / "pki"

    @property
    def images(self) -> Path:
        return Path(self.data_dir) / "images"

    @property
    def nodes(self) -> tuple[str, ...]:
        """One so far."""
        return ("node-1",)

    def node_directory(self, node: str) -> Path:
        return self.directory / "nodes" / node

    @property
    def link_prefix(self) -> int:
        return ipaddress.ip_network(self.link_cidr).prefixlen

    @property
    def host_address(self) -> str:
        """The host's end of the link to the nodes: where nodes and pods reach the API server."""
        return str(ipaddress.ip_network(self.link_cidr)[1])

    def node_address(self, node: str) -> str:
        return str(ipaddress.ip_network(self.link_cidr)[2 + self.nodes.index(node)])

    @property
    def kubernetes_ip(self) -> str:
        """The ClusterIP of the Service ``kubernetes``: the first of the range."""
        return str(ipaddress.ip_network(self.service_cidr)[1])

    @property
    def dns_ip(self) -> str:
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def server_url(self) -> str:
        """For clients on this machine, as it stands in the kubeconfig."""
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def node_server_url(self) -> str:
        """For the agents, which live in the nodes' network namespaces."""
        return f"https://{self.host_address}:{self.api_port}"

    @property
    def context(self) -> str:
        return f"sampan-{self.name}"

    @property
    def cgroup(self) -> str:
        return f"/sampan/{self.name}"


def check_name(name: str) -> str:
    """A cluster's name becomes part of host names and paths. Raises: ClusterError."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", name) or name in RESERVED_NAMES:
        raise ClusterError(f'"{name}" can\'t name a cluster: use up to 32 of a-z, 0-9 and "-", '
                           f"and none of {', '.join(sorted(RESERVED_NAMES))}")
    return name


def load(name: str, data_dir: str) -> ClusterConfig | None:
    """The cluster of that name, or ``None`` if there is none. Raises: ClusterError for a damaged file."""
    path = Path(data_dir) / check_name(name) / "cluster.json"
    try:
        return ClusterConfig(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ClusterError(f"{path} is damaged ({error}): remove the cluster with 'sampan down --purge'") from error


def existing(data_dir: str) -> list[ClusterConfig]:
    """All clusters below ``data_dir``, by name; damaged ones are left out."""
    found = []
    for path in sorted(Path(data_dir).glob("*/cluster.json")):
        try:
            config = load(path.parent.name, data_dir)
        except ClusterError:
            continue
        if config is not None:
            found.append(config)
    return found


def create(name: str, data_dir: str, *, proxy_mode: str = "auto", egress: bool = True) -> ClusterConfig:
    """Choose a slot for a new cluster and keep it. Raises: ClusterError when every slot is taken."""
    check_name(name)
    with lock(data_dir):
        taken = {config.slot for config in existing(data_dir)}
        for slot in range(SLOTS):
            if slot not in taken and _port_is_free(6443 + slot):
                return _save(ClusterConfig(
                    name=name, data_dir=data_dir, slot=slot, api_port=6443 + slot, proxy_mode=proxy_mode,
                    egress=egress, pod_cidr=f"10.{244 - slot}.0.0/16", service_cidr=f"10.{96 + slot}.0.0/16",
                    link_cidr=f"172.29.{slot}.0/24"))
    raise ClusterError(f"no free port from 6443 to {6443 + SLOTS - 1}: remove a cluster with 'sampan down --purge'")


def change(config: ClusterConfig, *, proxy_mode: str | None = None, egress: bool | None = None,
           node_monitor_grace_period_seconds: float | None = None) -> ClusterConfig:
    """Take over what ``up`` was asked for this time; what was not named stays."""
    asked = {"proxy_mode": proxy_mode, "egress": egress,
             "node_monitor_grace_period_seconds": node_monitor_grace_period_seconds}
    new = dataclasses.replace(config, **{k: v for k, v in asked.items() if v is not None})  # type: ignore[arg-type]
    return config if new == config else _save(new)


@contextmanager
def lock(data_dir: str, name: str = "") -> Iterator[None]:
    """One command at a time may change the machine (or one cluster); the others wait."""
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    path = Path(data_dir) / f".{name or 'machine'}.lock"
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _save(config: ClusterConfig) -> ClusterConfig:
    config.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = config.directory / "cluster.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
    os.replace(part, path)
    return config


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
