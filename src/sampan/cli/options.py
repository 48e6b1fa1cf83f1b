"""The options that every verb takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sampan.cluster.config import DEFAULT_DATA_DIR, ClusterConfig, ClusterError, load

Command = Callable[..., Any]


def cluster_options(command: Command) -> Command:
    """``--name`` and ``--data-dir``."""
    for option in (
        click.option("--data-dir", default=DEFAULT_DATA_DIR, show_default=True, envvar="SAMPAN_DATA_DIR",
                     type=click.Path(file_okay=False, resolve_path=True), help="Where all state lives."),
        click.option("--name", default="default", show_default=True, help="Which cluster."),
    ):
        command = option(command)
    return command


def kubeconfig_option(command: Command) -> Command:
    return click.option("--kubeconfig", default="", type=click.Path(dir_okay=False), metavar="FILE",
                        help="The kubeconfig to write to [default: $KUBECONFIG or ~/.kube/config].")(command)


def cluster(name: str, data_dir: str) -> ClusterConfig:
    """The cluster that the options name. Raises: ClusterError when there is none."""
    config = load(name, data_dir)
    if config is None:
        raise ClusterError(f'no cluster "{name}": start it with \'sampan up{_name_flag(name)}\'')
    return config


def _name_flag(name: str) -> str:
    return "" if name == "default" else f" --name {name}"


def report(message: str) -> None:
    """Progress, on stderr, so that stdout stays for results."""
    click.secho(f" • {message}", err=True, dim=True)
