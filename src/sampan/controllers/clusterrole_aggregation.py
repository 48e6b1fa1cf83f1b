"""A ClusterRole may be made of others: ``aggregationRule`` selects roles by label, their rules are put together.

So ``kubectl create clusterrole`` with the right label widens ``admin``, ``edit`` and ``view`` for everybody who has
them.  Any change of any role may concern any aggregating role, so all of these are looked at again.

Upstream: ``pkg/controller/clusterroleaggregation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.api import meta
from sampan.api.resources import CLUSTERROLES
from sampan.auth.aggregation import aggregated_rules
from sampan.client.queue import WorkQueue
from sampan.client.rest import MERGE_PATCH
from sampan.controllers.base import Context

Object = dict[str, Any]


def plan(role: Object, roles: Iterable[Object]) -> Object | None:
    """The merge patch that puts the role's rules right; None when they are, or when it aggregates nothing."""
    rules = aggregated_rules(role, roles)
    if rules is None or rules == (role.get("rules") or []):
        return None
    return {"metadata": {"resourceVersion": role["metadata"]["resourceVersion"]}, "rules": rules}


class ClusterRoleAggregationController:
    name = "clusterrole-aggregation-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        self._context = context
        self.queue: WorkQueue[str] = WorkQueue()
        self._roles = context.informers.informer(CLUSTERROLES)
        self._roles.on_change(self._role_changed)

    def _role_changed(self, old: Object | None, new: Object | None) -> None:
        for role in self._roles.list():
            if role.get("aggregationRule"):
                self.queue.add(meta.name(role))

    async def reconcile(self, key: str) -> float | None:
        role = self._roles.get(key)
        patch = plan(role, self._roles.list()) if role is not None else None
        if patch is not None:
            await self._context.client.patch(CLUSTERROLES, key, patch, content_type=MERGE_PATCH)
        return None
