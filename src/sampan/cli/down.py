"""``sampan down``: stop a cluster, or remove it."""

from __future__ import annotations

import click

from sampan.cli.options import cluster_options, kubeconfig_option, report


@click.command("down")
@cluster_options
@kubeconfig_option
@click.option("--purge", is_flag=True, help="Remove every trace: containers, network, rules, files, context.")
@click.option("--keep-images", is_flag=True, help="With --purge of the machine's last cluster: keep the images.")
def command(name: str, data_dir: str, kubeconfig: str, purge: bool, keep_images: bool) -> None:
    """Stop a cluster. Its containers go on running; 'up' resumes it."""
    from sampan.cluster.down import down

    down(name, data_dir, purge=purge, keep_images=keep_images, kubeconfig=kubeconfig, report=report)
    click.echo(f'Cluster "{name}" is {"gone" if purge else "down"}.')
