"""postStart and preStop: exec, httpGet or sleep.  Upstream: ``pkg/kubelet/lifecycle/handlers.go``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sampan.kubelet import probe_http
from sampan.kubelet.containers import Container, Pod
from sampan.kubelet.probe_run import PortMissing, port_number
from sampan.runtime.base import Runtime, RuntimeFailure

NO_LIMIT_SECONDS = 24 * 3600.0
HTTP_SECONDS = 30.0


class HookFailure(Exception):
    """The hook did not succeed. The message is that of the event."""


async def run_hook(
    runtime: Runtime, pod: Pod, container: Container, container_id: str, host: str, handler: Mapping[str, Any]
) -> None:
    """Returns when the hook has ended well. Raises: HookFailure."""
    if "exec" in handler:
        await _exec(runtime, pod, container, container_id, list(handler["exec"].get("command") or ()))
    elif "httpGet" in handler:
        await _http(pod, container, host, handler["httpGet"])
    elif "sleep" in handler:
        await asyncio.sleep(float(handler["sleep"].get("seconds") or 0))
    else:
        raise HookFailure(f"lifecycle hook {', '.join(handler)} of container {container.name} is not supported")


async def _exec(runtime: Runtime, pod: Pod, container: Container, container_id: str, command: list[str]) -> None:
    where = f'Container "{container.name}" in Pod "{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}'
    where += f'({pod["metadata"]["uid"]})"'
    start = f"Exec lifecycle hook ([{' '.join(command)}]) for {where} failed - error: "
    try:
        result = await runtime.exec_sync(container_id, command, NO_LIMIT_SECONDS)
    except (RuntimeFailure, TimeoutError) as error:
        raise HookFailure(f'{start}{error}, message: ""') from error
    if result.exit_code != 0:
        output = (result.stdout + result.stderr).decode("utf-8", "replace")
        why = f"command '{' '.join(command)}' exited with {result.exit_code}: {output}"
        raise HookFailure(f"{start}{why}, message: {output!r}")


async def _http(pod: Pod, container: Container, host: str, action: Mapping[str, Any]) -> None:
    try:
        url = probe_http.target(action, host, port_number(container, action["port"]))
        await probe_http.get(url, action.get("httpHeaders") or (), HTTP_SECONDS)
    except (PortMissing, probe_http.HttpFailure) as error:
        raise HookFailure(
            f'HTTP lifecycle hook ({action.get("path", "")}) for Container "{container.name}" in Pod '
            f'"{pod["metadata"]["name"]}" failed - error: {error}'
        ) from error
