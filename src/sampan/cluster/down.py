"""``sampan down``: stop the processes; with ``--purge`` remove every trace.

Without ``--purge`` the containers go on running and everything stays: the next ``up`` finds it.  Only the way out
through the host's firewall is closed, since nobody is there to look after it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sampan.cluster import config as configs
from sampan.cluster import nodes
from sampan.cluster.config import ClusterConfig, ClusterError
from sampan.cluster.daemon import stop

Report = Callable[[str], None]


def down(name: str, data_dir: str, *, purge: bool, keep_images: bool, kubeconfig: str, report: Report) -> None:
    """Stop the cluster. Raises: ClusterError when there is none of that name."""
    config = configs.load(name, data_dir)
    if config is None:
        raise ClusterError(f'no cluster "{name}" below {data_dir}')
    with configs.lock(data_dir, name):
        for daemon in reversed(nodes.daemons(config)):
            if stop(daemon):
                report(f"{daemon.title} stopped")
        if purge:
            _purge(config, kubeconfig, report)
        else:
            from sampan.network.egress import close_egress

            close_egress(config.name)
    if purge:
        _remove_lock_files(config, keep_images=keep_images)


def _purge(config: ClusterConfig, kubeconfig: str, report: Report) -> None:
    from sampan.client.kubeconfig import default_path, remove_context
    from sampan.cluster.purge import purge

    purge(config)
    remove_context(Path(kubeconfig) if kubeconfig else default_path(), config.context)
    report("containers, network, rules and files removed")


def _remove_lock_files(config: ClusterConfig, *, keep_images: bool) -> None:
    """What clusters share goes with the last one of them: the images, unless asked to stay."""
    data_dir = Path(config.data_dir)
    (data_dir / f".{config.name}.lock").unlink(missing_ok=True)
    with configs.lock(config.data_dir):
        if configs.existing(config.data_dir) or keep_images:
            return
        shutil.rmtree(config.images, ignore_errors=True)
        (data_dir / ".machine.lock").unlink(missing_ok=True)
    if data_dir.is_dir() and not any(data_dir.iterdir()):
        data_dir.rmdir()
