"""DELETE: gone at once, or marked and left to others to finish.

An object with finalizers gets a ``deletionTimestamp`` and goes when the last finalizer is removed; a Pod on a node gets
a grace period and goes when its kubelet says so (deletes it with grace 0).  The propagation policy is written down as a
finalizer that the garbage collector works off: ``foregroundDeletion`` or ``orphan``.

Upstream: ``registry/generic/registry/store.go`` (Delete), ``registry/rest/delete.go``, ``pkg/registry/core/namespace``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import Conflict, NotFound, Timeout
from sampan.api.http import Response
from sampan.apiserver.admission import base as admission
from sampan.apiserver.call import Call
from sampan.apiserver.delete_options import DeleteOptions, delete_options
from sampan.apiserver.objects import Moved, decode
from sampan.apiserver.respond import object_response, success
from sampan.apiserver.write import precondition
from sampan.store.base import Entry

Object = dict[str, Any]

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
#: These answer with the object they deleted; the others with a Status.
RETURNS_OBJECT = {"pods", "services", "serviceaccounts"}
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """``marked`` is the object to leave behind (None: nothing changes); ``remove`` takes it away now."""

    marked: Object | None
    remove: bool


@dataclass(frozen=True, slots=True)
class Deleted:
    obj: Object
    gone: bool


async def delete(call: Call) -> Response:
    """Raises: NotFound, Conflict, ApiError."""
    wanted = delete_options(call.request)
    outcome = await delete_object(call, call.name, wanted)
    if outcome.gone and call.resource.plural not in RETURNS_OBJECT:
        return object_response(call, success(_details(call, outcome.obj)))
    status = 202 if not outcome.gone and wanted.legacy_cascade else 200
    return object_response(call, outcome.obj, status)


def _details(call: Call, obj: Object) -> Object:
    details = {"name": meta.name(obj), "group": call.resource.group, "kind": call.resource.plural, "uid": meta.uid(obj)}
    return {key: value for key, value in details.items() if value}


async def delete_object(call: Call, name: str, wanted: DeleteOptions) -> Deleted:
    """Delete, or mark for deletion, until nobody interferes. Raises: NotFound, Conflict, ApiError."""
    entry: Entry | None = await call.server.objects.entry(call.resource, name, call.namespace)
    admitted = False
    for _ in range(_ATTEMPTS):
        if entry is None:
            raise NotFound.of(call.resource, name)
        obj = decode(call.resource, entry)
        check_preconditions(call, obj, wanted)
        if not admitted:
            attributes = call.attributes("DELETE", None, obj, wanted.as_object(), wanted.dry_run, name)
            await admission.run(call.server.plugins, attributes)
            admitted = True
        try:
            return await _carry_out(call, entry, obj, wanted)
        except Moved as moved:
            entry = moved.current
    raise Timeout("the object changed too often while it was deleted", 1)


def check_preconditions(call: Call, obj: Object, wanted: DeleteOptions) -> None:
    """Raises: Conflict."""
    name, uid, version = meta.name(obj), meta.uid(obj), meta.resource_version(obj)
    if wanted.uid and wanted.uid != uid:
        raise Conflict.of(call.resource, name, precondition("UID", wanted.uid, uid))
    if wanted.resource_version and wanted.resource_version != version:
        raise Conflict.of(call.resource, name, precondition("ResourceVersion", wanted.resource_version, version))


async def _carry_out(call: Call, entry: Entry, obj: Object, wanted: DeleteOptions) -> Deleted:
    """One attempt. Raises: Moved."""
    context = call.context(wanted.as_object(), name=meta.name(obj), dry_run=wanted.dry_run)
    planned = _plan(call, obj, wanted, context.now)
    if wanted.dry_run:
        return Deleted(planned.marked or obj, planned.remove)
    if planned.remove:
        gone = await call.server.objects.remove(entry)
        await call.kind.deleted(obj, context)
        left = planned.marked or obj
        left["metadata"]["resourceVersion"] = str(gone.revision)
        return Deleted(left, True)
    if planned.marked is None:
        return Deleted(obj, False)
    written = await call.server.objects.replace(entry, call.resource, planned.marked)
    return Deleted(decode(call.resource, written), False)


def _plan(call: Call, obj: Object, wanted: DeleteOptions, now: datetime) -> Plan:
    if call.resource.plural == "namespaces" and not call.resource.group:
        return plan_namespace(obj, now)
    return plan(obj, wanted, call.kind.graceful(obj, wanted.as_object(), now), now)


def plan(obj: Object, wanted: DeleteOptions, grace_seconds: int | None, now: datetime) -> Plan:
    """What a delete of ``obj`` does. ``grace_seconds`` is how long its kind lets it live on; None or 0: not at all."""
    metadata = obj["metadata"]
    marked = {**obj, "metadata": {**metadata}}
    if metadata.get("deletionTimestamp") and metadata.get("deletionGracePeriodSeconds"):
        return _again(marked, wanted)
    if metadata.get("deletionTimestamp"):
        grace_seconds = 0
    set_finalizers(marked["metadata"], wanted.propagation_policy)
    held = bool(metadata.get("finalizers")) or bool(marked["metadata"].get("finalizers"))
    if not grace_seconds and not held:
        return Plan(None, True)
    mark(marked["metadata"], grace_seconds or 0, now)
    return Plan(None if marked == obj else marked, False)


def _again(marked: Object, wanted: DeleteOptions) -> Plan:
    """A graceful deletion is under way: a second delete may only shorten it."""
    metadata, asked = marked["metadata"], wanted.grace_period_seconds
    had = metadata["deletionGracePeriodSeconds"]
    if asked is None or asked >= had:
        return Plan(None, False)
    deadline = clock.parse(metadata["deletionTimestamp"]) - timedelta(seconds=had - asked)
    metadata["deletionTimestamp"] = clock.rfc3339(deadline)
    metadata["deletionGracePeriodSeconds"] = asked
    return Plan(marked, asked == 0 and not metadata.get("finalizers"))


def mark(metadata: Object, grace_seconds: int, now: datetime) -> None:
    """Set the deletion fields, once; ``deletionTimestamp`` is when the grace period ends."""
    if metadata.get("deletionTimestamp"):
        return
    metadata["deletionTimestamp"] = clock.rfc3339(now + timedelta(seconds=grace_seconds))
    metadata["deletionGracePeriodSeconds"] = grace_seconds
    if metadata.get("generation"):
        metadata["generation"] += 1


def set_finalizers(metadata: Object, policy: str) -> None:
    """Write the policy down as a finalizer; without a policy what is there stays."""
    if not policy:
        return
    kept = [name for name in metadata.get("finalizers") or () if name not in (ORPHAN, FOREGROUND)]
    kept += {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    if kept:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)


def plan_namespace(obj: Object, now: datetime) -> Plan:
    """Namespaces die in two steps: Terminating until its controller has emptied it and dropped ``spec.finalizers``."""
    metadata: Mapping[str, Any] = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        held = (obj.get("spec") or {}).get("finalizers") or metadata.get("finalizers")
        return Plan(None, not held)
    marked = {**obj, "metadata": {**metadata}, "status": {**(obj.get("status") or {}), "phase": "Terminating"}}
    mark(marked["metadata"], 0, now)
    return Plan(marked, False)
