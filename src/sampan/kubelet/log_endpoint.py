"""``GET /containerLogs/{namespace}/{pod}/{container}``.

Upstream: ``pkg/kubelet/server/server.go`` ``getContainerLogs``.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from sampan.api.http import Request, Response
from sampan.kubelet.logs import LogOptions, parse_since, read_log
from sampan.kubelet.lookup import Refusal, find_logged, find_pod

if TYPE_CHECKING:
    from sampan.kubelet.kubelet import Kubelet

_STREAMS = {"": "", "All": "", "Stdout": "stdout", "Stderr": "stderr"}


def container_logs(kubelet: Kubelet, request: Request, namespace: str, pod_name: str, name: str) -> Response:
    """Raises: Refusal."""
    options = log_options(request)
    pod = find_pod(kubelet, namespace, pod_name)
    status = find_logged(kubelet, pod, name, previous=request.param("previous") == "true")
    if not os.path.exists(status.log_path):
        raise Refusal(404, f'failed to open log file "{status.log_path}": no such file or directory')

    def running() -> bool:
        state = kubelet.state(pod["metadata"]["uid"])
        return any(c.id == status.id and c.state == "running" for c in state.containers)

    return Response(200, {"content-type": "text/plain"}, read_log(status.log_path, options, running))


def log_options(request: Request) -> LogOptions:
    """Raises: Refusal for what can't be understood."""
    try:
        return LogOptions(
            follow=request.param("follow") == "true",
            tail_lines=_number(request.param("tailLines")),
            since=_since(request),
            timestamps=request.param("timestamps") == "true",
            limit_bytes=_number(request.param("limitBytes")),
            stream=_STREAMS[request.param("stream")],
        )
    except (ValueError, KeyError) as error:
        raise Refusal(400, f"unable to decode query: {error}") from error


def _number(text: str) -> int | None:
    if not text:
        return None
    number = int(text)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number


def _since(request: Request) -> float | None:
    if request.param("sinceTime"):
        return parse_since(request.param("sinceTime"))
    seconds = _number(request.param("sinceSeconds"))
    return None if seconds is None else time.time() - seconds
