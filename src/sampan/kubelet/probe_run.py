"""Runs one probe once, by its kind.  Upstream: ``pkg/kubelet/prober/prober.go``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sampan.kubelet import probe_grpc, probe_http
from sampan.kubelet.containers import Container
from sampan.kubelet.env import expand
from sampan.runtime.base import ContainerStatus, Runtime, RuntimeFailure

MAX_OUTPUT = 10 * 1024


class PortMissing(Exception):
    """The probe names a port that the container does not have."""


def port_number(container: Container, port: int | str) -> int:
    """A number, or the container's port of that name. Raises: PortMissing."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for listed in container.spec.get("ports") or ():
        if listed.get("name") == port:
            return int(listed["containerPort"])
    raise PortMissing(f"couldn't find port: strconv.Atoi: parsing \"{port}\": invalid syntax")


async def run_probe(
    runtime: Runtime, container: Container, status: ContainerStatus, host: str, probe: Mapping[str, Any]
) -> tuple[bool, str]:
    """``(healthy, output)``; ``host`` is the pod's address. Never raises for an unhealthy container."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    try:
        if action := probe.get("exec"):
            environment = dict(status.config.env)
            command = [expand(part, environment) for part in action.get("command") or ()]
            return await _exec(runtime, status.id, command, timeout)
        if action := probe.get("httpGet"):
            url = probe_http.target(action, host, port_number(container, action["port"]))
            return await probe_http.probe(url, action.get("httpHeaders") or (), timeout)
        if action := probe.get("tcpSocket"):
            return await _tcp(action.get("host") or host, port_number(container, action["port"]), timeout)
        if action := probe.get("grpc"):
            return await probe_grpc.probe(host, int(action["port"]), action.get("service") or "", timeout)
    except PortMissing as error:
        return False, str(error)
    return False, "missing probe handler"


async def _exec(runtime: Runtime, container_id: str, command: list[str], seconds: float) -> tuple[bool, str]:
    try:
        result = await runtime.exec_sync(container_id, command, seconds)
    except TimeoutError:
        return False, f'command timed out: "{" ".join(command)}" timed out after {seconds:g}s'
    except RuntimeFailure as error:
        return False, str(error)
    return result.exit_code == 0, (result.stdout + result.stderr)[:MAX_OUTPUT].decode("utf-8", "replace")


async def _tcp(host: str, port: int, seconds: float) -> tuple[bool, str]:
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return False, f"dial tcp {shown}: i/o timeout"
    except ConnectionRefusedError:
        return False, f"dial tcp {shown}: connect: connection refused"
    except OSError as error:
        return False, f"dial tcp {shown}: connect: {(error.strerror or str(error)).lower()}"
    writer.transport.abort()
    return True, ""
