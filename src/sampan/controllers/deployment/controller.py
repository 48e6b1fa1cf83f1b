"""The shell around a Deployment's plan: find its ReplicaSets (adopting orphans), decide, write.

Upstream: ``pkg/controller/deployment/deployment_controller.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import AlreadyExists, ApiError, Conflict, NotFound
from sampan.api.resources import DEPLOYMENTS, PODS, REPLICASETS
from sampan.api.selectors import from_label_selector
from sampan.client.queue import WorkQueue
from sampan.controllers import ownership
from sampan.controllers.base import Context
from sampan.controllers.deployment import revisions, status
from sampan.controllers.deployment.plan import Update, plan

Object = dict[str, Any]

CACHE_LAG_SECONDS = 0.005  # a conflict says that the cache is behind: it will have caught up by then


class DeploymentController:
    name = "deployment-controller"
    workers = 5

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._deployments = context.informers.informer(DEPLOYMENTS)
        self._sets = context.informers.informer(REPLICASETS)
        self._pods = context.informers.informer(PODS)
        ownership.add_index(self._sets)
        ownership.add_index(self._pods)
        self._deployments.on_change(lambda old, new: self.queue.add(meta.key(new or old or {})))
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and meta.resource_version(old) == meta.resource_version(new):
            return
        for rs in (old, new):
            owner = meta.controller_of(rs) if rs is not None else None
            if owner is not None and owner["kind"] == "Deployment":
                assert rs is not None
                self.queue.add(f"{meta.namespace(rs)}/{owner['name']}")
        if new is not None and meta.controller_of(new) is None:
            self._wake_adopters(new)

    def _wake_adopters(self, orphan: Object) -> None:
        for deployment in self._deployments.list(meta.namespace(orphan)):
            if from_label_selector(deployment["spec"]["selector"]).matches(meta.labels(orphan)):
                self.queue.add(meta.key(deployment))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """``Recreate`` waits for the last old pod to be gone; nothing else depends on pods directly."""
        if new is not None and (new.get("status") or {}).get("phase") not in ("Failed", "Succeeded"):
            return
        owner = meta.controller_of(old) if old is not None else None
        if owner is None or owner["kind"] != "ReplicaSet":
            return
        assert old is not None
        rs = self._sets.get(f"{meta.namespace(old)}/{owner['name']}")
        parent = meta.controller_of(rs) if rs is not None else None
        if parent is not None and parent["kind"] == "Deployment":
            self.queue.add(f"{meta.namespace(old)}/{parent['name']}")

    async def reconcile(self, key: str) -> float | None:
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        if from_label_selector(deployment["spec"]["selector"]).empty:
            self._context.events.event(
                deployment, "Warning", "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.")
            return None
        sets = await self._claim(deployment)
        pods = {meta.uid(rs): ownership.controlled_by(self._pods, rs) for rs in sets}
        decided = plan(deployment, sets, pods, self._context.now())
        try:
            if decided.create is not None and not await self._create(deployment, decided.create):
                return None
            for update in decided.updates:
                await self._context.client.update(REPLICASETS, update.replica_set)
                self._record(deployment, update)
            for rs in decided.deletes:
                await self._forget(rs)
            await self._report(deployment, decided.annotations, decided.status)
        except (Conflict, NotFound):
            return CACHE_LAG_SECONDS
        return decided.requeue_after_seconds

    async def _claim(self, deployment: Object) -> list[Object]:
        selector = from_label_selector(deployment["spec"]["selector"])
        owned = ownership.controlled_by(self._sets, deployment)
        keep = [rs for rs in owned if selector.matches(meta.labels(rs))]
        for rs in owned:
            if not selector.matches(meta.labels(rs)) and not meta.is_deleted(deployment):
                await ownership.release(self._context.client, REPLICASETS, rs, deployment)
        orphans = [rs for rs in ownership.orphans(self._sets, meta.namespace(deployment))
                   if selector.matches(meta.labels(rs))]
        adopted = await ownership.adopt(self._context.client, DEPLOYMENTS, deployment, REPLICASETS, orphans)
        return keep + adopted

    async def _create(self, deployment: Object, wanted: Update) -> bool:
        """False: nothing more can be done in this look."""
        rs = wanted.replica_set
        try:
            await self._context.client.create(REPLICASETS, rs)
        except AlreadyExists:
            return await self._existing(deployment, rs)
        except ApiError as error:
            if ownership.namespace_terminating(error):
                return False
            message = f'Failed to create new replica set "{meta.name(rs)}": {error}'
            self._context.events.event(deployment, "Warning", "ReplicaSetCreateError", message)
            await self._progress_failed(deployment, message)
            raise
        self._record(deployment, wanted)
        return True

    async def _existing(self, deployment: Object, rs: Object) -> bool:
        """The cache was behind, or two templates share a hash: then count the collision, which changes the name."""
        found = await self._context.client.get(REPLICASETS, meta.name(rs), meta.namespace(rs))
        owner = meta.controller_of(found)
        if owner is not None and owner["uid"] == meta.uid(deployment) and revisions.same_template(
                found["spec"]["template"], rs["spec"]["template"]):
            return True
        before = deployment.get("status") or {}
        counted = before | {"collisionCount": (before.get("collisionCount") or 0) + 1}
        await self._context.client.update(DEPLOYMENTS, deployment | {"status": counted}, subresource="status")
        return False

    async def _progress_failed(self, deployment: Object, message: str) -> None:
        if not status.has_deadline(deployment):
            return
        before = deployment.get("status") or {}
        failed = status.make_condition(status.PROGRESSING, "False", "ReplicaSetCreateError", message,
                                       self._context.now())
        conditions = status.with_condition(before.get("conditions") or [], failed)
        if conditions != (before.get("conditions") or []):
            fresh = deployment | {"status": before | {"conditions": conditions}}
            await self._context.client.update(DEPLOYMENTS, fresh, subresource="status")

    async def _forget(self, rs: Object) -> None:
        try:
            await self._context.client.delete(REPLICASETS, meta.name(rs), meta.namespace(rs), uid=meta.uid(rs),
                                              propagation_policy="Background")
        except NotFound:
            return

    async def _report(self, deployment: Object, annotations: dict[str, str] | None, after: Object | None) -> None:
        """In one write: an annotation that comes with the status is no new generation of the Deployment."""
        if annotations is None and after is None:
            return
        metadata = deployment["metadata"] | {"annotations": meta.annotations(deployment) | (annotations or {})}
        fresh = deployment | {"metadata": metadata, "status": after or deployment.get("status") or {}}
        await self._context.client.update(DEPLOYMENTS, fresh, subresource="status")

    def _record(self, deployment: Object, update: Update) -> None:
        if update.note is not None:
            self._context.events.event(deployment, update.note.type, update.note.reason, update.note.message)

