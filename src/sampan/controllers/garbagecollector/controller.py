"""The shell: builds the graph from the watches, asks the API before it believes that an owner is gone, then acts.

A deleted owner wakes its dependents at once, each of these theirs: a Deployment's pods begin to end within tens of
milliseconds.  Upstream: ``pkg/controller/garbagecollector/garbagecollector.go``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from sampan.api import meta
from sampan.api.errors import ApiError, Conflict, NotFound
from sampan.api.resources import RESOURCES, Resource, by_kind
from sampan.client.queue import WorkQueue
from sampan.client.rest import MERGE_PATCH
from sampan.controllers.base import Context
from sampan.controllers.garbagecollector.graph import FOREGROUND, ORPHAN, Graph, Node
from sampan.controllers.garbagecollector.plan import Owner, plan, without_finalizer, without_owners

Object = dict[str, Any]

ABSENT_KEPT = 1000  # uids known to be gone: a Deployment's hundred pods ask for it once


def collectable(resources: Iterable[Resource] = RESOURCES) -> list[Resource]:
    """What can own or be owned. Events refer to objects in another way, and only pass through."""
    return [r for r in resources if {"list", "watch", "delete"} <= set(r.verbs) and r.plural != "events"]


class GarbageCollector:
    name = "generic-garbage-collector"
    workers = 20

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self.graph = Graph()
        self._absent: dict[tuple[str, str], None] = {}
        for resource in collectable():
            context.informers.informer(resource).on_change(partial(self._changed, resource))

    # -- the graph ---------------------------------------------------------------------------------------------------

    def _changed(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or meta.uid(old) != meta.uid(new)):
            self._gone(Node.of(resource, old))
            old = None
        if new is None:
            return
        before, node = (Node.of(resource, old) if old is not None else None), Node.of(resource, new)
        if before == node and node.uid in self.graph.nodes:
            return  # a status report
        self.graph.set(node)
        if node.owners or node.waits_for_dependents or node.orphans_dependents:
            self.queue.add(node.uid)
        for owner, _ in (before.owners if before is not None else ()):
            self._wake_waiting(owner)
        if node.waits_for_dependents:
            self._wake_dependents(node.uid)

    def _gone(self, node: Node) -> None:
        self.graph.remove(node.uid)
        self._wake_dependents(node.uid)
        for owner, _ in node.owners:
            self._wake_waiting(owner)

    def _wake_dependents(self, uid: str) -> None:
        for dependent in self.graph.dependents(uid):
            self.queue.add(dependent.uid)

    def _wake_waiting(self, owner_uid: str) -> None:
        owner = self.graph.nodes.get(owner_uid)
        if owner is not None and owner.waits_for_dependents:
            self.queue.add(owner_uid)

    # -- one object --------------------------------------------------------------------------------------------------

    async def reconcile(self, key: str) -> float | None:
        node = self.graph.nodes.get(key)
        if node is None:
            return None
        try:
            if node.orphans_dependents:
                await self._orphan(node)
            elif node.waits_for_dependents:
                await self._finish_foreground(node)
            elif node.owners and not node.deleted:
                await self._collect(node)
        except NotFound:
            return None
        except Conflict:
            return 0.005  # decided on an old version: look at the new one
        return None

    async def _orphan(self, node: Node) -> None:
        for dependent in self.graph.dependents(node.uid):
            obj = await self._live(dependent)
            if obj is not None and any(ref["uid"] == node.uid for ref in meta.owner_references(obj)):
                await self._patch(dependent, without_owners(obj, frozenset({node.uid})))
        await self._drop_finalizer(node, ORPHAN)

    async def _finish_foreground(self, node: Node) -> None:
        blocking = [d for d in self.graph.dependents(node.uid) if d.blocks(node.uid)]
        for dependent in blocking:
            self.queue.add(dependent.uid)
        if not blocking:
            await self._drop_finalizer(node, FOREGROUND)

    async def _drop_finalizer(self, node: Node, finalizer: str) -> None:
        obj = await self._live(node)
        if obj is not None and finalizer in meta.finalizers(obj):
            await self._patch(node, without_finalizer(obj, finalizer))

    async def _collect(self, node: Node) -> None:
        if all(self._is_solid(node, uid) for uid, _ in node.owners):
            return  # the caches are enough to leave it alone; to delete it they are not
        obj = await self._live(node)
        if obj is None or meta.is_deleted(obj):
            return
        owners = {ref["uid"]: await self._owner(node, obj, ref) for ref in meta.owner_references(obj)}
        dependents = self.graph.dependents(node.uid)
        decided = plan(obj, owners, any(d.waits_for_dependents for d in dependents), bool(dependents))
        if decided.drop:
            obj = await self._patch(node, without_owners(obj, decided.drop))
        if decided.delete:
            await self._context.client.delete(
                node.resource, node.name, node.namespace or None, uid=node.uid,
                resource_version=meta.resource_version(obj), propagation_policy=decided.delete)

    def _is_solid(self, node: Node, owner_uid: str) -> bool:
        owner = self.graph.nodes.get(owner_uid)
        return owner is not None and not owner.waits_for_dependents and self._in_reach(node, owner.namespace)

    def _in_reach(self, node: Node, owner_namespace: str) -> bool:
        """An owner is in the same namespace, or in none."""
        return owner_namespace in ("", node.namespace)

    async def _owner(self, node: Node, obj: Object, reference: Object) -> Owner:
        resource = by_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            return Owner.UNKNOWN
        if resource.namespaced and not node.namespace:
            self._complain(obj, reference, "")
            return Owner.UNKNOWN  # something without a namespace can't be owned by something in one
        namespace = node.namespace if resource.namespaced else ""
        known = self.graph.nodes.get(reference["uid"])
        if known is not None and known.namespace not in ("", namespace):
            self._complain(obj, reference, namespace)
        elif known is not None and known.resource is resource and known.name == reference["name"]:
            return Owner.WAITING if known.waits_for_dependents else Owner.SOLID
        return await self._asked(resource, reference, namespace)

    async def _asked(self, resource: Resource, reference: Object, namespace: str) -> Owner:
        if (reference["uid"], namespace) in self._absent:
            return Owner.ABSENT
        try:
            owner = await self._context.client.get(resource, reference["name"], namespace or None)
        except NotFound:
            owner = {}
        if meta.uid(owner) != reference["uid"]:
            self._absent[reference["uid"], namespace] = None  # a uid never comes back
            while len(self._absent) > ABSENT_KEPT:
                del self._absent[next(iter(self._absent))]
            return Owner.ABSENT
        waiting = meta.is_deleted(owner) and FOREGROUND in meta.finalizers(owner)
        return Owner.WAITING if waiting else Owner.SOLID

    def _complain(self, obj: Object, reference: Object, namespace: str) -> None:
        named = (f"[{reference['apiVersion']}/{reference['kind']}, namespace: {namespace}, name: {reference['name']}, "
                 f"uid: {reference['uid']}]")
        self._context.events.event(obj, "Warning", "OwnerRefInvalidNamespace",
                                   f'ownerRef {named} does not exist in namespace "{namespace}"')

    async def _live(self, node: Node) -> Object | None:
        """The object as the server has it now; None when it is gone or another one has its name."""
        try:
            obj = await self._context.client.get(node.resource, node.name, node.namespace or None)
        except NotFound:
            return None
        return obj if meta.uid(obj) == node.uid else None

    async def _patch(self, node: Node, patch: Object) -> Object:
        try:
            return await self._context.client.patch(node.resource, node.name, patch, node.namespace or None,
                                                    content_type=MERGE_PATCH)
        except ApiError as error:
            if error.code == 422:
                raise Conflict(str(error)) from error  # the name belongs to another object by now
            raise
