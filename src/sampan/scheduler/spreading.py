"""What a pod belongs to, for default spreading: the Services that select it, and the ReplicaSet that made it.

Upstream: ``DefaultSelector`` in ``pkg/scheduler/framework/plugins/helper/spread.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.client.informer import Informer
from sampan.scheduler.pod_info import PodInfo

Object = dict[str, Any]


class SpreadSelectors:
    def __init__(self, services: Informer, replica_sets: Informer) -> None:
        self._services, self._replica_sets = services, replica_sets

    def __call__(self, pod: PodInfo) -> list[Object]:
        """Label selectors that all hold at once for the pods of its kind; empty when it belongs to nothing."""
        found: list[Object] = []
        for service in self._services.list(pod.namespace):
            selector = service["spec"].get("selector")
            if selector and selector.items() <= pod.labels.items():
                found.append({"matchLabels": selector})
        owner = meta.controller_of(pod.pod)
        if owner is not None and owner["kind"] == "ReplicaSet":
            rs = self._replica_sets.get(f"{pod.namespace}/{owner['name']}")
            if rs is not None:
                found.append(rs["spec"]["selector"])
        return found
