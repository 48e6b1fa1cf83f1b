"""``sampan agent``: kubelet, proxy and DNS of one node in the foreground ('up' runs it for you)."""

from __future__ import annotations

import click

from sampan.cli.options import cluster, cluster_options
from sampan.cluster.config import ClusterError


@click.command("agent")
@cluster_options
@click.option("--node", "node_name", default="", help="Which node [default: the first].")
@click.option("--ready-fd", default=-1, hidden=True)
def command(name: str, data_dir: str, node_name: str, ready_fd: int) -> None:
    """Run the kubelet, proxy and DNS of a node in the foreground."""
    from sampan.cluster.agent import main

    config = cluster(name, data_dir)
    node = node_name or config.nodes[0]
    if node not in config.nodes:
        raise ClusterError(f'cluster "{name}" has no node "{node}": it has {", ".join(config.nodes)}')
    main(config, node, ready_fd)
