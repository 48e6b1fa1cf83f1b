"""The BackOff event of a crash-looping container, once for each wait.

Upstream: ``pkg/kubelet/kuberuntime/kuberuntime_manager.go`` ``doBackOff``.
"""

from __future__ import annotations

from sampan.kubelet.actions import Observed
from sampan.kubelet.backoff import waits_until
from sampan.kubelet.containers import Pod, containers_of, pod_text, restarts
from sampan.kubelet.context import Context


class RestartEvents:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told: set[str] = set()

    def tell(self, pod: Pod, seen: Observed) -> None:
        if seen.termination:
            return
        for container in containers_of(pod):
            ended = seen.state.latest(container.name)
            if ended is None or ended.state != "exited" or ended.id in self._told:
                continue
            if restarts(pod, container, ended.exit_code) and waits_until(ended, seen.now) is not None:
                self._told.add(ended.id)
                text = f"Back-off restarting failed container {container.name} in pod {pod_text(pod)}"
                self._context.event(pod, "Warning", "BackOff", text, container.field_path)
