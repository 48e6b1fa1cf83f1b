"""The nodes of a cluster on this machine: their names, their network and the processes that run them."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from sampan.cluster.config import ClusterConfig
from sampan.cluster.daemon import Daemon
from sampan.network.egress import Egress
from sampan.network.node import NodeNetwork


def pod_cidr(config: ClusterConfig, node: str) -> str:
    """The node's /24 of the cluster's pod range, in the order in which the nodes were made."""
    subnets = ipaddress.ip_network(config.pod_cidr).subnets(new_prefix=24)
    position = config.nodes.index(node) if node in config.nodes else 0
    return str(next(net for index, net in enumerate(subnets) if index == position))


def proxy_mode_file(config: ClusterConfig, node: str) -> Path:
    """Which back end the node's proxy really uses; ``config.proxy_mode`` may be ``auto``."""
    return config.node_directory(node) / "proxy-mode"


def node_network(config: ClusterConfig, node: str) -> NodeNetwork:
    known = node in config.nodes
    return NodeNetwork(
        cluster=config.name, node=node, host_address=config.host_address,
        node_address=config.node_address(node) if known else "", pod_cidr=pod_cidr(config, node),
        service_cidr=config.service_cidr if known and node == config.nodes[0] else "",
    )


def egress(config: ClusterConfig) -> Egress:
    return Egress(config.name, sources=(config.pod_cidr, config.link_cidr), inside=(config.service_cidr,))


def server_daemon(config: ClusterConfig) -> Daemon:
    directory = config.directory / "server"
    return Daemon("server", directory / "server.pid", directory / "server.log",
                  ("server", "--name", config.name, "--data-dir", config.data_dir))


def agent_daemon(config: ClusterConfig, node: str) -> Daemon:
    directory = config.node_directory(node)
    return Daemon(f"agent of {node}", directory / "agent.pid", directory / "agent.log",
                  ("agent", "--name", config.name, "--data-dir", config.data_dir, "--node", node))


def daemons(config: ClusterConfig) -> list[Daemon]:
    """The server first: the agents need it."""
    return [server_daemon(config), *(agent_daemon(config, node) for node in config.nodes)]
