"""The shell around a ReplicaSet's plan: claims pods, creates and deletes them, reports.

Until the cache shows what was asked for (expectations), pods are not counted again: counting too early would create
them twice.  Upstream: ``pkg/controller/replicaset/replica_set.go``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from sampan.api import meta
from sampan.api.errors import ApiError, Conflict, NotFound
from sampan.api.resources import PODS, REPLICASETS
from sampan.api.selectors import from_label_selector
from sampan.client.queue import Expectations, WorkQueue
from sampan.controllers import ownership, podstate
from sampan.controllers.base import Context, Failure, gather_slowly
from sampan.controllers.replicaset import status
from sampan.controllers.replicaset.plan import Plan, new_pod, plan, seconds_to_next_available

Object = dict[str, Any]


class ReplicaSetController:
    name = "replicaset-controller"
    workers = 5

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._expectations: Expectations[str] = Expectations()
        self._sets = context.informers.informer(REPLICASETS)
        self._pods = context.informers.informer(PODS)
        ownership.add_index(self._sets)
        ownership.add_index(self._pods)
        self._sets.on_change(self._set_changed)
        self._pods.on_change(self._pod_changed)

    # -- what wakes it -----------------------------------------------------------------------------------------------

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        rs = new or old
        assert rs is not None
        if new is None or (old is not None and meta.uid(old) != meta.uid(new)):
            self._expectations.forget(meta.key(rs))
        self.queue.add(meta.key(rs))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        owner = self._owner(new) if new is not None else None
        before = self._owner(old) if old is not None else None
        if old is None and new is not None and owner is not None and not meta.is_deleted(new):
            self._expectations.creation_observed(owner)
        if before is not None and old is not None and (new is None or meta.is_deleted(new)):
            self._expectations.deletion_observed(before, meta.uid(old))
        for key in {owner, before} - {None}:
            assert key is not None
            self.queue.add(key)
        if owner is None and new is not None and meta.controller_of(new) is None:
            self._wake_adopters(old, new)

    def _owner(self, pod: Object) -> str | None:
        owner = meta.controller_of(pod)
        if owner is None or owner["kind"] != "ReplicaSet":
            return None
        return f"{meta.namespace(pod)}/{owner['name']}"

    def _wake_adopters(self, old: Object | None, orphan: Object) -> None:
        if old is not None and meta.labels(old) == meta.labels(orphan) and meta.controller_of(old) is None:
            return
        for rs in self._sets.list(meta.namespace(orphan)):
            if from_label_selector(rs["spec"]["selector"]).matches(meta.labels(orphan)):
                self.queue.add(meta.key(rs))

    # -- one look ----------------------------------------------------------------------------------------------------

    async def reconcile(self, key: str) -> float | None:
        rs = self._sets.get(key)
        if rs is None:
            self._expectations.forget(key)
            return None
        caught_up = self._expectations.satisfied(key)
        owned = await self._claim(rs)
        pods = [pod for pod in owned if podstate.is_active(pod)]
        terminating = sum(meta.is_deleted(pod) and not podstate.is_finished(pod) for pod in owned)
        failure, error = None, None
        if caught_up:
            decided = plan(rs, pods, self._related(rs), self._context.now())
            failure, error = await self._apply(key, rs, decided)
        await self._report(rs, pods, terminating, failure)
        if error is not None:
            raise error
        return seconds_to_next_available(rs, pods, self._context.now())

    async def _claim(self, rs: Object) -> list[Object]:
        selector = from_label_selector(rs["spec"]["selector"])
        owned = ownership.controlled_by(self._pods, rs)
        keep = [pod for pod in owned if selector.matches(meta.labels(pod))]
        if len(keep) != len(owned) and not meta.is_deleted(rs):
            for pod in owned:
                if not selector.matches(meta.labels(pod)):
                    await ownership.release(self._context.client, PODS, pod, rs)
        orphans = [pod for pod in ownership.orphans(self._pods, meta.namespace(rs))
                   if podstate.is_active(pod) and selector.matches(meta.labels(pod))]
        return keep + await ownership.adopt(self._context.client, REPLICASETS, rs, PODS, orphans)

    def _related(self, rs: Object) -> list[Object]:
        owner = meta.controller_of(rs)
        siblings = [rs]
        if owner is not None:
            siblings = [other for other in self._sets.by_index(ownership.INDEX, owner["uid"])
                        if meta.namespace(other) == meta.namespace(rs)]
        return [pod for sibling in siblings for pod in ownership.controlled_by(self._pods, sibling)]

    async def _apply(self, key: str, rs: Object, decided: Plan) -> tuple[tuple[str, str] | None, ApiError | None]:
        if decided.create:
            error = await self._create(key, rs, decided.create)
            return (("FailedCreate", str(error)) if error else None), error
        if decided.delete:
            error = await self._delete(key, rs, decided.delete)
            return (("FailedDelete", str(error)) if error else None), error
        return None, None

    async def _create(self, key: str, rs: Object, count: int) -> ApiError | None:
        self._expectations.expect_creations(key, count)
        pod = new_pod(rs)
        results = await gather_slowly([partial(self._create_one, rs, pod)] * count)
        failures = [result.error for result in results if isinstance(result, Failure)]
        for _ in range(count - len(results) + len(failures)):
            self._expectations.creation_observed(key)  # these will never be seen
        return _first(failures)

    async def _create_one(self, rs: Object, pod: Object) -> None:
        try:
            created = await self._context.client.create(PODS, pod)
        except ApiError as error:
            if not ownership.namespace_terminating(error):
                self._context.events.event(rs, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._context.events.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(created)}")

    async def _delete(self, key: str, rs: Object, pods: tuple[Object, ...]) -> ApiError | None:
        self._expectations.expect_deletions(key, [meta.uid(pod) for pod in pods])
        answers = await asyncio.gather(*(self._delete_one(key, rs, pod) for pod in pods), return_exceptions=True)
        return _first([answer for answer in answers if isinstance(answer, BaseException)])

    async def _delete_one(self, key: str, rs: Object, pod: Object) -> None:
        try:
            await self._context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
        except ApiError as error:
            self._expectations.deletion_observed(key, meta.uid(pod))
            if isinstance(error, NotFound):
                return
            self._context.events.event(rs, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._context.events.event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")

    async def _report(self, rs: Object, pods: list[Object], terminating: int,
                      failure: tuple[str, str] | None) -> None:
        after = status.count(rs, pods, terminating, failure, self._context.now())
        if status.same(after, rs.get("status") or {}):
            return
        try:
            await self._context.client.update(REPLICASETS, rs | {"status": after}, subresource="status")
        except (Conflict, NotFound):
            self.queue.add_after(meta.key(rs), 0.005)  # the cache was behind


def _first(failures: list[BaseException]) -> ApiError | None:
    """What to report. In a dying namespace creations are bound to fail: that is no failure."""
    for failure in failures:
        if not isinstance(failure, ApiError):
            raise failure
        if not ownership.namespace_terminating(failure):
            return failure
    return None
