"""What of a cluster runs: its processes with their cost, and what the API says of its nodes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sampan.cluster import nodes
from sampan.cluster.config import ClusterConfig

ASK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    title: str
    pid: int  # 0: not running
    memory_megabytes: float


@dataclass(frozen=True, slots=True)
class Status:
    config: ClusterConfig
    processes: tuple[Process, ...]
    nodes: tuple[dict[str, Any], ...]  # Node objects
    pods: int
    problem: str = ""  # why the API could not be asked
    proxy_mode: str = ""  # with "auto", the one that was chosen

    @property
    def running(self) -> bool:
        return all(process.pid for process in self.processes) and not self.problem

    def lines(self) -> list[str]:
        """For people."""
        config = self.config
        found = [f'Cluster "{config.name}": {"running" if self.running else "not running"}',
                 f"  API server  {config.server_url}   context {config.context}   data {config.directory}",
                 f"  addresses   pods {config.pod_cidr}   services {config.service_cidr}   nodes {config.link_cidr}",
                 f"  forwarding  proxy mode {self.proxy_mode}   way out {'open' if config.egress else 'closed'}"]
        for process in self.processes:
            state = f"process {process.pid}, {process.memory_megabytes:.0f} MB" if process.pid else "not running"
            found.append(f"  {process.title:18} {state}")
        for node in self.nodes:
            found.append(f"  node {node['metadata']['name']:13} {_readiness(node)}, {self.pods} pods, "
                         f"{node['status']['nodeInfo']['kubeletVersion']}")
        if self.problem:
            found.append(f"  the API server gives no answer: {self.problem}")
        return found


def look(config: ClusterConfig) -> Status:
    """Ask the processes and the API."""
    mode = _proxy_mode(config)
    processes = tuple(Process(d.title, pid := d.pid(), pss_megabytes(pid)) for d in nodes.daemons(config))
    if not processes[0].pid:
        return Status(config, processes, (), 0, proxy_mode=mode)
    try:
        found, pods = asyncio.run(_ask(config))
    except Exception as error:  # whatever is wrong with the server, it is the answer to the question
        return Status(config, processes, (), 0, str(error) or type(error).__name__, mode)
    return Status(config, processes, found, pods, proxy_mode=mode)


def _proxy_mode(config: ClusterConfig) -> str:
    """What the agent chose when it was started last."""
    try:
        chosen = nodes.proxy_mode_file(config, config.nodes[0]).read_text().strip()
    except FileNotFoundError:
        return config.proxy_mode
    return f"{chosen} (chosen by auto)" if config.proxy_mode == "auto" else chosen


async def _ask(config: ClusterConfig) -> tuple[tuple[dict[str, Any], ...], int]:
    from sampan.api.resources import NODES, PODS
    from sampan.client.https import Https
    from sampan.client.rest import Client

    read = [(config.pki / file).read_bytes() for file in ("ca.crt", "admin.crt", "admin.key")]
    transport = Https(config.server_url, ca=read[0], cert=read[1], key=read[2])
    try:
        async with asyncio.timeout(ASK_SECONDS):
            client = Client(transport)
            found, pods = await asyncio.gather(client.list(NODES), client.list(PODS))
    finally:
        await transport.close()
    return tuple(found["items"]), len(pods["items"])


def _readiness(node: dict[str, Any]) -> str:
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", ())}
    return "Ready" if conditions.get("Ready") == "True" else "NotReady"


def pss_megabytes(pid: int) -> float:
    """Memory of a process, with shared pages counted in proportion; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("Pss:")), 0.0)
