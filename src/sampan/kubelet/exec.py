"""exec, attach and port-forward: from the request to the runtime's process or connection, carried by ``streams``.

    /exec/{ns}/{pod}/{container}, /attach/{ns}/{pod}/{container}, /portForward/{ns}/{pod}      (a uid may stand before
                                                                                            the container's name)

Upstream: ``pkg/kubelet/server/server.go`` ``getExec``, ``getAttach``, ``getPortForward``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampan.api.errors import ApiError
from sampan.api.http import Request, Response
from sampan.kubelet.containers import container_named, is_terminal
from sampan.kubelet.lookup import Refusal, find_pod, find_running, find_sandbox
from sampan.runtime.base import Process

if TYPE_CHECKING:
    import asyncio

    from sampan.kubelet.kubelet import Kubelet


async def remote_command(
    kubelet: Kubelet, request: Request, verb: str, namespace: str, pod_name: str, name: str
) -> Response:
    """``verb`` is exec or attach. Raises: Refusal."""
    from sampan.streams.remote_command import RemoteCommandOptions, serve_remote_command

    pod = find_pod(kubelet, namespace, pod_name)
    status = find_running(kubelet, pod, name)
    options = RemoteCommandOptions.of(request)
    if not (options.stdin or options.stdout or options.stderr):
        raise Refusal(400, "you must specify at least 1 of stdin, stdout, stderr")
    command = [value for key, value in request.query if key == "command"]
    container = container_named(pod, name)
    can_read = options.stdin and bool(container and container.spec.get("stdin"))
    runtime = kubelet.context.runtime

    async def start() -> Process:
        if verb == "exec":
            return await runtime.exec(status.id, command, stdin=options.stdin, tty=options.tty)
        return await runtime.attach(status.id, stdin=can_read)

    if verb == "exec" and not command:
        raise Refusal(400, "you must specify at least one command for the container")
    try:
        return serve_remote_command(request, options, start)
    except ApiError as error:
        raise Refusal(error.code, error.message) from error


async def port_forward(kubelet: Kubelet, request: Request, namespace: str, pod_name: str) -> Response:
    """Raises: Refusal."""
    from sampan.streams.port_forward import serve_port_forward

    pod = find_pod(kubelet, namespace, pod_name)
    if is_terminal(pod):
        phase = pod["status"]["phase"]
        raise Refusal(400, f"unable to forward port because pod is not running. Current status={phase}")
    sandbox = find_sandbox(kubelet, pod)

    async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await kubelet.context.runtime.port_forward(sandbox.id, port)

    try:
        return serve_port_forward(request, connect, f"{pod_name}_{namespace}")
    except ApiError as error:
        raise Refusal(error.code, error.message) from error
