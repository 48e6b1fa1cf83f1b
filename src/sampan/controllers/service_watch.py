"""Wakes the Services that a pod's change concerns: those that select it now, and those that did before.

Both the EndpointSlice and the Endpoints controller listen in this way.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.client.informer import Informer
from sampan.client.queue import WorkQueue
from sampan.controllers import service_ports

Object = dict[str, Any]


def wake_on_changes(services: Informer, pods: Informer, queue: WorkQueue[str]) -> None:
    services.on_change(lambda old, new: queue.add(meta.key(new or old or {})))

    def pod_changed(old: Object | None, new: Object | None) -> None:
        if (old is not None and new is not None
                and service_ports.endpoints_state(old) == service_ports.endpoints_state(new)):
            return
        namespace = meta.namespace(new or old or {})
        seen = [meta.labels(pod).items() for pod in (old, new) if pod is not None]
        for service in services.list(namespace):
            selector = service_ports.selected(service)
            if selector is not None and any(selector.items() <= labels for labels in seen):
                queue.add(meta.key(service))

    pods.on_change(pod_changed)


def pods_of(service: Object, pods: Informer) -> list[Object]:
    """The pods that the selector picks."""
    selector = (service_ports.selected(service) or {}).items()
    return [pod for pod in pods.list(meta.namespace(service)) if selector <= meta.labels(pod).items()]
