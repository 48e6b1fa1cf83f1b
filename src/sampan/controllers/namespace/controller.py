"""Empties a namespace that is being deleted, then gives it free.

Pods go first: a policy or an account must not vanish while a program that relies on it still runs.  What has finalizers
or a grace period stays for a while; its disappearance wakes us, and a slow timer is only the safety net.
Upstream: ``pkg/controller/namespace/deletion/namespaced_resources_deleter.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from sampan.api import meta
from sampan.api.errors import ApiError, Conflict, NotFound
from sampan.api.resources import NAMESPACES, PODS, RESOURCES, Resource
from sampan.client.queue import WorkQueue
from sampan.controllers.base import Context
from sampan.controllers.namespace.conditions import Remaining, conditions, remaining

Object = dict[str, Any]

FINALIZER = "kubernetes"
SAFETY_NET_SECONDS = 5.0


def contents(resources: Iterable[Resource] = RESOURCES) -> list[Resource]:
    """What can be in a namespace. Of two views of the same objects (events) one is enough."""
    return [r for r in resources if r.namespaced and not r.stored_as and {"list", "deletecollection"} <= set(r.verbs)]


class NamespaceController:
    name = "namespace-controller"
    workers = 5

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._namespaces.on_change(self._changed)
        context.informers.informer(PODS).on_change(self._content_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and meta.is_deleted(new):
            self.queue.add(meta.name(new))

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        """The last pod's end is what most deletions wait for."""
        if new is None and old is not None:
            namespace = self._namespaces.get(meta.namespace(old))
            if namespace is not None and meta.is_deleted(namespace):
                self.queue.add(meta.name(namespace))

    async def reconcile(self, key: str) -> float | None:
        try:
            # Asked afresh: to empty a namespace by mistake could not be undone.
            namespace = await self._context.client.get(NAMESPACES, key)
            if not meta.is_deleted(namespace) or FINALIZER not in (namespace["spec"].get("finalizers") or ()):
                return None
            left = await self._empty(key)
            if left.empty:
                await self._finalize(namespace)
                return None
            await self._report(namespace, left)
        except NotFound:
            return None
        except Conflict:
            return 0.005
        return SAFETY_NET_SECONDS

    async def _empty(self, namespace: str) -> Remaining:
        found, failures = await self._delete_all([PODS], namespace)
        if not found and not failures:
            others = [resource for resource in contents() if resource is not PODS]
            found, failures = await self._delete_all(others, namespace)
        return remaining(found, failures)

    async def _delete_all(self, resources: list[Resource], namespace: str) -> tuple[dict[str, list[Object]], list[str]]:
        answers = await asyncio.gather(*(self._delete_each(r, namespace) for r in resources), return_exceptions=True)
        found: dict[str, list[Object]] = {}
        failures: list[str] = []
        for resource, answer in zip(resources, answers, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, ApiError):
                    raise answer
                failures.append(f"{resource.plural}: {answer}")
            elif answer:
                found[f"{resource.plural}.{resource.group}"] = answer
        return found, failures

    async def _delete_each(self, resource: Resource, namespace: str) -> list[Object]:
        """What is left of one resource."""
        client = self._context.client
        if not (await client.list(resource, namespace, limit=1))["items"]:
            return []
        await client.delete_collection(resource, namespace, propagation_policy="Background")
        items: list[Object] = (await client.list(resource, namespace))["items"]
        return items

    async def _finalize(self, namespace: Object) -> None:
        spec = namespace["spec"]
        kept = [finalizer for finalizer in spec["finalizers"] if finalizer != FINALIZER]
        fresh = namespace | {"spec": spec | {"finalizers": kept}}
        await self._context.client.update(NAMESPACES, fresh, subresource="finalize")

    async def _report(self, namespace: Object, left: Remaining) -> None:
        status = namespace.get("status") or {}
        before = status.get("conditions") or []
        after = conditions(before, left, self._context.now())
        if after != before:
            fresh = namespace | {"status": status | {"conditions": after}}
            await self._context.client.update(NAMESPACES, fresh, subresource="status")
