"""The entry point: collects the verbs, and turns an expected failure into one line and exit code 1."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from sampan import KUBERNETES_VERSION, __version__

VERBS = ("up", "down", "status", "kubeconfig", "node", "image", "server", "agent")


class Verbs(click.Group):
    """Loads a verb's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"sampan.cli.{cmd_name}").command
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message=f"sampan %(version)s (Kubernetes {KUBERNETES_VERSION})")
def sampan() -> None:
    """Kubernetes in one pip install: a real cluster, up in about a second."""


def main(arguments: list[str] | None = None) -> None:
    try:
        sampan.main(args=arguments, standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except Exception as error:
        if not expected(error):
            raise
        click.echo(f"sampan: {error}", err=True)
        sys.exit(1)


def expected(error: Exception) -> bool:
    """Failures whose message is written for the user. Anything else is a defect, and shows its traceback."""
    from sampan.api.errors import ApiError
    from sampan.client.kubeconfig import KubeconfigError
    from sampan.cluster.config import ClusterError
    from sampan.runtime.base import RuntimeFailure

    kinds: tuple[type[Any], ...] = (ClusterError, KubeconfigError, RuntimeFailure, ApiError, PermissionError)
    return isinstance(error, kinds)
