"""``sampan up``: start a cluster, or resume it."""

from __future__ import annotations

import time

import click

from sampan.cli.options import cluster_options, kubeconfig_option, report
from sampan.cluster.config import PROXY_MODES, ClusterError


@click.command("up")
@cluster_options
@kubeconfig_option
@click.option("--proxy-mode", default=None, metavar="MODE",
              help=f"How Services are forwarded: {', '.join(PROXY_MODES)} [default: auto].")
@click.option("--egress/--no-egress", default=None,
              help="Let pods reach the outside through one nftables table on the host [default: --egress].")
@click.option("--node-monitor-grace-period", "grace", type=click.FloatRange(15), default=None, metavar="SECONDS",
              help="How long a node may be silent before it is NotReady [default: 50].")
def command(
    name: str, data_dir: str, kubeconfig: str, proxy_mode: str | None, egress: bool | None, grace: float | None
) -> None:
    """Start a cluster, or resume it after 'down' or a crash."""
    from sampan.cluster.up import up

    if proxy_mode == "ipvs":
        raise ClusterError("--proxy-mode ipvs is not there yet: use nftables or iptables")
    if proxy_mode is not None and proxy_mode not in PROXY_MODES:
        raise ClusterError(f'--proxy-mode "{proxy_mode}" is unknown: use one of {", ".join(PROXY_MODES)}')
    began = time.monotonic()
    config = up(name, data_dir, proxy_mode=proxy_mode, egress=egress, kubeconfig=kubeconfig, report=report,
                node_monitor_grace_period_seconds=grace)
    click.secho(f"Cluster \"{name}\" is up: node {config.nodes[0]} was Ready after {time.monotonic() - began:.1f} s.",
                bold=True)
    click.echo()
    for line in next_steps(name, config.context):
        click.echo(f"  {line}")


def next_steps(name: str, context: str) -> list[str]:
    """What to do with a new cluster: commands, and in a second column what for."""
    flag = "" if name == "default" else f" --name {name}"
    steps = [
        (f"kubectl --context {context} get nodes", "use it (it is the current context)"),
        ("kubectl create deployment web --image nginx:1.22", "run something"),
        (f"sampan status{flag}", "what runs, and what it costs"),
        (f"sampan node exec{flag} -- nft list ruleset", "look into the node"),
        (f"sampan down{flag}", "stop it; containers go on, 'up' resumes"),
        (f"sampan down{flag} --purge", "remove every trace"),
    ]
    width = max(len(command) for command, _ in steps)
    return [f"{command:{width}}   {what}" for command, what in steps]
