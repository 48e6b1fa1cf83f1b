"""``sampan server``: the API server, the controllers and the scheduler in the foreground ('up' runs it for you)."""

from __future__ import annotations

import click

from sampan.cli.options import cluster, cluster_options


@click.command("server")
@cluster_options
@click.option("--ready-fd", default=-1, hidden=True)
def command(name: str, data_dir: str, ready_fd: int) -> None:
    """Run the API server, controllers and scheduler in the foreground."""
    from sampan.cluster.server import main

    main(cluster(name, data_dir), ready_fd)
