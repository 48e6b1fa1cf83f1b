"""Every namespace has a ServiceAccount ``default``: what pods are when they don't say who they are.

Upstream: ``pkg/controller/serviceaccount/serviceaccounts_controller.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists, ApiError
from sampan.api.resources import NAMESPACES, SERVICEACCOUNTS
from sampan.client.queue import WorkQueue
from sampan.controllers import ownership
from sampan.controllers.base import Context, gvk

Object = dict[str, Any]


def is_active(namespace: Object | None) -> bool:
    """Can something still be made in it?"""
    return (namespace is not None and not meta.is_deleted(namespace)
            and ((namespace.get("status") or {}).get("phase") or "Active") == "Active")


class ServiceAccountController:
    name = "service-account-controller"
    workers = 2

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._accounts = context.informers.informer(SERVICEACCOUNTS)
        self._namespaces.on_change(lambda old, new: self.queue.add(meta.name(new or old or {})))
        self._accounts.on_change(self._account_changed)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.queue.add(meta.namespace(old))

    async def reconcile(self, key: str) -> float | None:
        if not is_active(self._namespaces.get(key)) or self._accounts.get(f"{key}/default") is not None:
            return None
        account = {**gvk(SERVICEACCOUNTS), "metadata": {"name": "default", "namespace": key}}
        try:
            await self._context.client.create(SERVICEACCOUNTS, account)
        except AlreadyExists:
            return None
        except ApiError as error:
            if not ownership.namespace_terminating(error) and error.code != 404:
                raise
        return None
