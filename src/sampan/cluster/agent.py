"""What ``sampan agent`` is made of: kubelet, proxy and DNS of one node, in the node's network namespace.

Kubelet and proxy have identities of their own (``system:node:<name>`` and ``system:kube-proxy``), so each may do what
upstream's may and no more.  Proxy and DNS share one copy of Services and EndpointSlices.

Importing this module imports the whole agent: only what becomes one does it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sampan.client.https import Https
from sampan.client.informer import Informers
from sampan.client.rest import Client
from sampan.cluster.config import ClusterConfig, ClusterError
from sampan.cluster.nodes import agent_daemon, node_network, pod_cidr, proxy_mode_file
from sampan.cluster.process import run
from sampan.cluster.setns import enter_network
from sampan.dns.run import Dns, DnsConfig
from sampan.kubelet.config import KubeletConfig
from sampan.kubelet.kubelet import Kubelet
from sampan.network.bridge import BridgeConfig, BridgeNetwork
from sampan.network.node import uplink_mtu
from sampan.proxy.base import ProxyConfig
from sampan.proxy.run import Proxy
from sampan.runtime.native.config import NativeConfig
from sampan.runtime.native.runtime import NativeRuntime

SERVER_WAIT_SECONDS = 30.0


def main(config: ClusterConfig, node: str, ready_fd: int) -> None:
    """Run until SIGTERM. The process joins the node's network namespace before it starts a thread."""
    enter_network(node_network(config, node).netns_path)

    async def start() -> Callable[[], Awaitable[None]]:
        agent = Agent(config, node)
        try:
            await agent.start()
        except BaseException:
            await agent.close()
            raise
        return agent.close

    run(agent_daemon(config, node).pid_file, start, ready_fd)


class Agent:
    """One node's agent. ``start`` returns once the node is Ready; ``close`` leaves containers and rules in place."""

    def __init__(self, config: ClusterConfig, node: str) -> None:
        self._config, self._node = config, node
        self._closing: list[Callable[[], Awaitable[object]]] = []  # in the order of starting

    async def start(self) -> None:
        """Raises: ApiError, ProxyError, RuntimeFailure, OSError."""
        listens = asyncio.create_task(self._server_listens())
        try:
            await asyncio.gather(self._start_forwarding(listens), self._start_kubelet(listens))
        finally:
            listens.cancel()

    async def close(self) -> None:
        """Last started, first closed."""
        while self._closing:
            await self._closing.pop()()

    async def _server_listens(self) -> None:
        """Server and agent are started together, and the agent is ready to ask first. Raises: ClusterError."""
        deadline = time.monotonic() + SERVER_WAIT_SECONDS
        while True:
            try:
                _, writer = await asyncio.open_connection(self._config.host_address, self._config.api_port)
                writer.close()
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ClusterError(f"no answer from {self._config.node_server_url}: {error}") from error
                await asyncio.sleep(0.01)

    async def _start_forwarding(self, listens: Awaitable[None]) -> None:
        config, address = self._config, self._config.node_address(self._node)
        transport = self._transport(config.pki / "kube-proxy")
        informers = Informers(Client(transport, user_agent="kube-proxy"))
        self._closing.append(informers.close)
        dns = Dns(informers, DnsConfig(config.dns_ip, (address,), config.domain))
        await dns.start()
        self._closing.append(dns.close)
        proxy = Proxy(informers, ProxyConfig(self._node, (address,), config.pod_cidr, frozenset({config.dns_ip})),
                      config.proxy_mode)
        await proxy.start()
        self._closing.append(proxy.close)
        proxy_mode_file(config, self._node).write_text(f"{proxy.mode}\n")
        await listens
        await informers.start()

    async def _start_kubelet(self, listens: Awaitable[None]) -> None:
        config, directory = self._config, self._config.node_directory(self._node)
        network = BridgeNetwork(BridgeConfig(pod_cidr(config, self._node), directory / "network", mtu=uplink_mtu()))
        runtime = NativeRuntime(
            NativeConfig(directory / "runtime", config.images, f"{config.cgroup}/{self._node}"), network)
        transport = self._transport(directory / "pki" / "kubelet-client")
        kubelet = Kubelet(kubelet_config(config, self._node), Client(transport, user_agent="kubelet"), runtime)
        await kubelet.start(listens)
        self._closing.append(kubelet.close)

    def _transport(self, certificate: Path) -> Https:
        transport = Https(
            self._config.node_server_url, ca=(self._config.pki / "ca.crt").read_bytes(),
            cert=certificate.with_name(f"{certificate.name}.crt").read_bytes(),
            key=certificate.with_name(f"{certificate.name}.key").read_bytes())
        self._closing.append(transport.close)
        return transport


def kubelet_config(config: ClusterConfig, node: str) -> KubeletConfig:
    directory = config.node_directory(node)
    return KubeletConfig(
        node_name=node, node_ip=config.node_address(node), data_dir=directory / "kubelet",
        pod_cidr=pod_cidr(config, node), cluster_dns=(config.dns_ip,), cluster_domain=config.domain,
        client_ca_file=config.pki / "ca.crt", tls_cert_file=directory / "pki" / "kubelet.crt",
        tls_private_key_file=directory / "pki" / "kubelet.key", cgroup_root=f"{config.cgroup}/{node}",
    )
