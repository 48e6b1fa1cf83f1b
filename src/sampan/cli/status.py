"""``sampan status``: what of a cluster runs, and what it costs."""

from __future__ import annotations

import sys

import click

from sampan.cli.options import cluster, cluster_options


@click.command("status")
@cluster_options
def command(name: str, data_dir: str) -> None:
    """Show what runs. Exit code 1 unless everything does."""
    from sampan.cluster.status import Status, look

    status: Status = look(cluster(name, data_dir))
    for line in status.lines():
        click.echo(line)
    if not status.running:
        sys.exit(1)
