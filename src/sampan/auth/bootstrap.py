"""Bring the cluster's default roles up to date at every start.

What is missing is created; to what is there, missing rules, subjects, labels are added, nothing is taken away, and an
object whose autoupdate annotation is ``false`` is left alone.  A binding that points to another role is made anew.

Upstream: ``pkg/registry/rbac/{rest,reconciliation}``.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, Protocol

from sampan.api.errors import AlreadyExists
from sampan.api.meta import key
from sampan.api.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    NAMESPACES,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
    Resource,
)
from sampan.auth import bootstrap_policy as policy
from sampan.auth.policy_lines import AUTOUPDATE
from sampan.auth.rules import covers

Object = dict[str, Any]
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class Client(Protocol):
    """What is asked of the API client; ``bootstrap_store.StoreClient`` is a quick one for an empty cluster."""

    async def list(self, resource: Resource) -> Object: ...
    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object: ...
    async def update(self, resource: Resource, obj: Object) -> Object: ...
    async def delete(self, resource: Resource, name: str, namespace: str | None = None) -> Object: ...


async def ensure(client: Client) -> None:
    """Namespaces, roles and bindings; a second call changes nothing. Writes go out together and share a commit."""
    await ensure_namespaces(client)
    await asyncio.gather(_ensure(client, CLUSTERROLES, policy.cluster_roles()),
                         _ensure(client, ROLES, policy.roles()))
    await asyncio.gather(_ensure(client, CLUSTERROLEBINDINGS, policy.cluster_role_bindings()),
                         _ensure(client, ROLEBINDINGS, policy.role_bindings()))


async def ensure_namespaces(client: Client) -> None:
    """Each with the ServiceAccount ``default``. Its controller would make that too, but a moment later, and until then
    no Pod can be created: a cluster that says it is ready would refuse the first one."""
    there = {key(each) for each in (await client.list(NAMESPACES))["items"]}
    new = [name for name in SYSTEM_NAMESPACES if name not in there]
    await asyncio.gather(*(_create(client, NAMESPACES, {"apiVersion": "v1", "kind": "Namespace",
                                                        "metadata": {"name": name}}) for name in new))
    await asyncio.gather(*(_create(client, SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount",
                                                             "metadata": {"name": "default", "namespace": name}})
                           for name in new))


async def _ensure(client: Client, resource: Resource, wanted: Sequence[Object]) -> None:
    there = {key(each): each for each in (await client.list(resource))["items"]}
    await asyncio.gather(*(_reconcile(client, resource, each, there.get(key(each))) for each in wanted))


async def _reconcile(client: Client, resource: Resource, wanted: Object, there: Object | None) -> None:
    metadata = wanted["metadata"]
    if there is None:
        await _create(client, resource, wanted)
        return
    if (there["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return
    if "roleRef" in wanted and there.get("roleRef") != wanted["roleRef"]:
        await client.delete(resource, metadata["name"], metadata.get("namespace"))
        await _create(client, resource, wanted)
        return
    merged = reconciled(wanted, there)
    if merged != there:
        await client.update(resource, merged)


async def _create(client: Client, resource: Resource, obj: Object) -> None:
    try:
        await client.create(resource, copy.deepcopy(obj), obj["metadata"].get("namespace"))
    except AlreadyExists:
        return  # another server was first: it knows the same roles


def reconciled(wanted: Object, there: Object) -> Object:
    """``there`` with everything of ``wanted`` that it lacks."""
    merged = copy.deepcopy(there)
    for field in ("labels", "annotations"):
        if wanted["metadata"].get(field):
            merged["metadata"][field] = {**(merged["metadata"].get(field) or {}), **wanted["metadata"][field]}
    if "aggregationRule" in wanted:
        merged["aggregationRule"] = wanted["aggregationRule"]  # its rules are the aggregation controller's
    elif "rules" in wanted and wanted["rules"] != there.get("rules"):
        missing = [rule for rule in wanted["rules"] if covers(there.get("rules") or [], [rule])]
        if missing:
            merged["rules"] = [*(there.get("rules") or []), *copy.deepcopy(missing)]
    new = [s for s in wanted.get("subjects") or () if s not in (there.get("subjects") or [])]
    if new:
        merged["subjects"] = [*(there.get("subjects") or []), *new]
    return merged
