"""From the names in a URL to a container of the runtime, with upstream's words for what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sampan.kubelet.containers import Pod, container_named
from sampan.runtime.base import ContainerStatus, SandboxStatus

if TYPE_CHECKING:
    from sampan.kubelet.kubelet import Kubelet


class Refusal(Exception):
    """``status`` is the HTTP code, the message its body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def find_pod(kubelet: Kubelet, namespace: str, name: str) -> Pod:
    """Raises: Refusal."""
    pod = kubelet.pod(namespace, name)
    if pod is None:
        raise Refusal(404, f'pod "{name}" not found in namespace "{namespace}"\n')
    return pod


def find_running(kubelet: Kubelet, pod: Pod, name: str) -> ContainerStatus:
    """The running container of that name. Raises: Refusal."""
    status = kubelet.state(pod["metadata"]["uid"]).latest(name)
    if container_named(pod, name) is None or status is None or status.state != "running":
        raise Refusal(404, f'container not found ("{name}")')
    return status


def find_logged(kubelet: Kubelet, pod: Pod, name: str, *, previous: bool) -> ContainerStatus:
    """The container whose log to show: the newest attempt, or the one before it. Raises: Refusal."""
    where, meta = container_named(pod, name), pod["metadata"]
    if where is None:
        raise Refusal(400, f'container {name} is not valid for pod {meta["name"]}')
    attempts = [c for c in kubelet.state(meta["uid"]).attempts(name) if c.state != "created"]
    if previous:
        ended = [c for c in attempts if c.state == "exited"]
        if attempts and attempts[-1].state == "exited":
            ended = ended[:-1] or ended  # while it waits for its next attempt, the last one is the previous
        if not ended:
            raise Refusal(400, f'previous terminated container "{name}" in pod "{meta["name"]}" not found')
        return ended[-1]
    if not attempts:
        reason = _waiting_reason(pod, name)
        raise Refusal(400, f'container "{name}" in pod "{meta["name"]}" is waiting to start: {reason}')
    return attempts[-1]


def find_sandbox(kubelet: Kubelet, pod: Pod) -> SandboxStatus:
    """Raises: Refusal."""
    sandbox = kubelet.state(pod["metadata"]["uid"]).sandbox
    if sandbox is None:
        raise Refusal(404, f'pod not found ("{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}")')
    return sandbox


def _waiting_reason(pod: Pod, name: str) -> str:
    status = pod.get("status") or {}
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for listed in status.get(field) or ():
            if listed["name"] == name and (waiting := (listed.get("state") or {}).get("waiting")):
                return str(waiting.get("reason", "ContainerCreating"))
    return "ContainerCreating"
