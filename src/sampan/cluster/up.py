"""``sampan up``: from nothing, or from what a crash or ``down`` left, to a Ready node.

Each step looks at what is there, so ``up`` is also how a cluster is resumed: certificates, addresses, objects and
running containers are found again, and only what is missing is made.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from sampan.cluster import config as configs
from sampan.cluster import nodes, requirements
from sampan.cluster.config import ClusterConfig, ClusterError
from sampan.cluster.daemon import start, wait_ready

READY_TIMEOUT_SECONDS = 60.0
Report = Callable[[str], None]


def up(
    name: str, data_dir: str, *, proxy_mode: str | None, egress: bool | None, kubeconfig: str, report: Report
) -> ClusterConfig:
    """Start the cluster, wait for its node, write the kubeconfig context. Raises: ClusterError, OSError."""
    requirements.check(proxy_mode or "auto")
    with configs.lock(data_dir, configs.check_name(name)):
        config = configs.load(name, data_dir)
        if config is None:
            _check_not_elsewhere(name, data_dir)
            config = configs.create(name, data_dir, proxy_mode=proxy_mode or "auto", egress=egress is not False)
        else:
            config = configs.change(config, proxy_mode=proxy_mode, egress=egress)
        _check_not_running(config)
        _prepare(config, report)
        waiting = [start(daemon) for daemon in nodes.daemons(config) if not daemon.pid()]
        report("server and agent started")
        wait_ready(waiting, READY_TIMEOUT_SECONDS)
        write_context(config, kubeconfig)
    return config


def _check_not_running(config: ClusterConfig) -> None:
    if all(daemon.pid() for daemon in nodes.daemons(config)):
        raise ClusterError(f'cluster "{config.name}" is running already: use it (kubectl --context {config.context} '
                           f"get nodes), or choose another --name")


def _check_not_elsewhere(name: str, data_dir: str) -> None:
    """Links and cgroups carry the cluster's name: two data directories can't both have one of it."""
    from sampan.network.node import node_networks

    if node_networks(name):
        raise ClusterError(f'a cluster "{name}" exists on this machine, but not below {data_dir}: '
                           f"name its --data-dir, or choose another --name")


def _prepare(config: ClusterConfig, report: Report) -> None:
    from sampan.network.egress import close_egress, open_egress
    from sampan.network.node import create_node_network

    write_certificates(config)
    report("certificates")
    for node in config.nodes:
        create_node_network(nodes.node_network(config, node))
    if config.egress:
        open_egress(nodes.egress(config))
    else:
        close_egress(config.name)
    report("network")


def write_certificates(config: ClusterConfig) -> None:
    """For the server by every name it is reached under, and for each node."""
    from sampan.auth.certificates import load_authority, write_node_pki, write_pki

    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{config.domain}")
    write_pki(config.pki, server_sans=(
        "localhost", "127.0.0.1", config.host_address, config.kubernetes_ip, socket.gethostname(), *service))
    authority = load_authority(config.pki / "ca")
    for node in config.nodes:
        write_node_pki(config.node_directory(node) / "pki", authority, node, (config.node_address(node),))


def write_context(config: ClusterConfig, kubeconfig: str) -> Path:
    """Merge the context ``sampan-<name>`` into the kubeconfig and make it current."""
    from sampan.client.kubeconfig import default_path, merge_context

    path = Path(kubeconfig) if kubeconfig else default_path()
    cluster, user = credentials(config)
    merge_context(path, config.context, cluster=cluster, user=user)
    return path


def credentials(config: ClusterConfig) -> tuple[dict[str, object], dict[str, object]]:
    """The administrator's cluster and user entries of a kubeconfig."""
    ca, certificate, key = ((config.pki / file).read_bytes() for file in ("ca.crt", "admin.crt", "admin.key"))
    return (
        {"server": config.server_url, "certificate-authority-data": ca},
        {"client-certificate-data": certificate, "client-key-data": key},
    )
