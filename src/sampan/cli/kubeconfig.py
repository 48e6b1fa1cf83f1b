"""``sampan kubeconfig``: print the administrator's kubeconfig, or merge it into a file."""

from __future__ import annotations

import base64

import click

from sampan.cli.options import cluster, cluster_options


@click.command("kubeconfig")
@cluster_options
@click.option("--merge", "merge_into", default="", metavar="FILE", help="Merge the context into this file instead.")
def command(name: str, data_dir: str, merge_into: str) -> None:
    """Print the cluster's kubeconfig."""
    import yaml

    from sampan.cluster.up import credentials, write_context

    config = cluster(name, data_dir)
    if merge_into:
        click.echo(f"{config.context} is in {write_context(config, merge_into)}")
        return
    server, user = (
        {key: base64.b64encode(value).decode() if isinstance(value, bytes) else value for key, value in entry.items()}
        for entry in credentials(config)
    )
    context = config.context
    click.echo(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": context, "preferences": {},
        "clusters": [{"name": context, "cluster": server}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "users": [{"name": context, "user": user}],
    }, sort_keys=False), nl=False)
