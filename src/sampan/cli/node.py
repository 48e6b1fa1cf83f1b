"""``sampan node exec``: run a command where the node is, that is, in its network namespace."""

from __future__ import annotations

import os

import click

from sampan.cli.options import cluster, cluster_options
from sampan.cluster.config import ClusterError


@click.group("node")
def command() -> None:
    """Look into a node."""


@command.command("exec", context_settings={"ignore_unknown_options": True})
@cluster_options
@click.option("--node", "node_name", default="", help="Which node [default: the first].")
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARG]...")
def exec_(name: str, data_dir: str, node_name: str, arguments: tuple[str, ...]) -> None:
    """Run COMMAND in the node's network namespace (and this machine's files)."""
    from sampan.cluster.nodes import node_network
    from sampan.cluster.setns import enter_network

    config = cluster(name, data_dir)
    node = node_name or config.nodes[0]
    if node not in config.nodes:
        raise ClusterError(f'cluster "{name}" has no node "{node}": it has {", ".join(config.nodes)}')
    try:
        enter_network(node_network(config, node).netns_path)
        os.execvp(arguments[0], arguments)
    except FileNotFoundError as error:
        missing = error.filename or arguments[0]
        raise ClusterError(f"{missing}: no such file or program (is the cluster up?)") from error
