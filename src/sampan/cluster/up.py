"""``sampan up``: from nothing, or from what a crash or ``down`` left, to a Ready node.

Each step looks at what is there, so ``up`` is also how a cluster is resumed: certificates, addresses, objects and
running containers are found again, and only what is missing is made.

A second is short, so what can go on at the same time does::

    up          --+-- network -- imports for both --+-+------------------ wait ---- kubeconfig
    a job         +-- certificates, RSA key ----------|-------+
    server                                          +-- imports --+-- store, roles, listens -- ready
    agent                                           +-- imports --+-- DNS, rules -- node is Ready
"""

from __future__ import annotations

import dataclasses
import functools
import socket
from collections.abc import Callable
from pathlib import Path

from sampan.cluster import config as configs
from sampan.cluster import forked, launch, nodes, requirements
from sampan.cluster.config import ClusterConfig, ClusterError
from sampan.cluster.daemon import Daemon

READY_TIMEOUT_SECONDS = 60.0
Report = Callable[[str], None]


def up(
    name: str, data_dir: str, *, proxy_mode: str | None, egress: bool | None, kubeconfig: str, report: Report,
    node_monitor_grace_period_seconds: float | None = None,
) -> ClusterConfig:
    """Start the cluster, wait for its node, write the kubeconfig context. Raises: ClusterError, OSError."""
    requirements.check(proxy_mode or "auto")
    with configs.lock(data_dir, configs.check_name(name)):
        config = configs.load(name, data_dir)
        if config is None:
            _check_not_elsewhere(name, data_dir)
            config = configs.create(name, data_dir, proxy_mode=proxy_mode or "auto", egress=egress is not False)
        config = configs.change(config, proxy_mode=proxy_mode, egress=egress,
                                node_monitor_grace_period_seconds=node_monitor_grace_period_seconds)
        _check_not_running(config)
        certificates = forked.start(lambda: write_certificates(config))
        _prepare_network(config, report)
        waiting = _start(config, certificates)
        certificates.wait()
        report("server and agent started")
        import yaml  # noqa: F401 (for the kubeconfig, now that we wait anyhow)

        launch.wait_ready(waiting, READY_TIMEOUT_SECONDS)
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


def _prepare_network(config: ClusterConfig, report: Report) -> None:
    from sampan.network.egress import close_egress, forward_policy_drops, open_egress
    from sampan.network.node import create_node_network, host_mtu

    mtu = host_mtu()
    for node in config.nodes:
        create_node_network(dataclasses.replace(nodes.node_network(config, node), mtu=mtu))
    if config.egress:
        open_egress(nodes.egress(config))
        if forward_policy_drops():
            report("warning: iptables' FORWARD chain drops by default (Docker does that): pods will not reach the "
                   "outside unless it accepts what comes from and goes to them")
    else:
        close_egress(config.name)
    report("network")


def _start(config: ClusterConfig, certificates: forked.Job) -> list[launch.Starting]:
    """What does not run yet. The server first: the agents need it."""
    from sampan.cluster import shared

    def server() -> launch.Run:
        from sampan.cluster.server import main

        return lambda ready: main(config, ready)

    def agent(node: str) -> launch.Run:
        from sampan.cluster.agent import main

        return lambda ready: main(config, node, ready)

    if forked.possible():
        shared.load()
    wanted: list[tuple[Daemon, Callable[[], launch.Run]]] = [(nodes.server_daemon(config), server)]
    wanted += [(nodes.agent_daemon(config, node), functools.partial(agent, node)) for node in config.nodes]
    return [launch.start(daemon, load, certificates) for daemon, load in wanted if not daemon.pid()]


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
