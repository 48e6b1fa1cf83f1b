"""The life of a write: defaults, admission, validation, field ownership, allocation, storage.

``create_object`` and ``modify`` are all that create, update, patch, scale, binding and eviction need.  ``modify`` is a
read-modify-write loop: it hands the object as it is to ``make``, which returns a fresh one, and starts over when
somebody else wrote in between.  A client that named a resourceVersion gets a Conflict then; others never notice.

A write that changes nothing is not written: the revision stays, and no watcher wakes.

Upstream: ``staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go`` (Create, Update), ``registry/rest``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sampan.api import apply, meta, schema
from sampan.api.clock import rfc3339
from sampan.api.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound, Timeout
from sampan.api.schema import Type
from sampan.apiserver.admission import base as admission
from sampan.apiserver.call import Call
from sampan.apiserver.kinds.base import Context
from sampan.apiserver.objects import Moved, decode
from sampan.apiserver.options import WriteOptions
from sampan.store.base import Entry

Object = dict[str, Any]

#: Given the object as it is, returns the one to write; called again with the newer one after a lost race.
Make = Callable[[Object], Object]

#: Vowels and look-alikes are left out, so that no words appear.
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_MAX_GENERATED_PREFIX = 63 - _SUFFIX_LENGTH
_NAME_ATTEMPTS = 8
_WRITE_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome. ``entry`` is None for a dry run; ``obj`` is what was (or would be) written."""

    obj: Object
    entry: Entry | None
    created: bool = False
    deleted: bool = False


def body_type(call: Call) -> Type:
    return schema.type_for(call.resource.api_version, call.resource.kind)


# -- create -----------------------------------------------------------------------------------------------------------


async def create_object(call: Call, obj: Object, options: WriteOptions, *, operation: str = "Update") -> Written:
    """Raises: ApiError."""
    objects, kind = call.server.objects, call.kind
    identify(call, obj)
    context = call.context(options.as_object(), name=meta.name(obj), dry_run=options.dry_run)
    if operation == "Update":
        obj = own(call, obj, options, context)
    attributes = call.attributes("CREATE", obj, None, options.as_object(), options.dry_run, meta.name(obj))
    await admission.admit(call.server.plugins, attributes)
    obj = attributes.obj or obj
    generated = give_name(obj["metadata"])
    stamp(obj["metadata"], rfc3339(context.now))
    kind.prepare_for_create(obj, context)
    if errors := kind.validate(obj):
        raise Invalid.of(call.resource, meta.name(obj), errors)
    await kind.check(obj, None, context)
    await admission.validate(call.server.plugins, attributes)
    call.warnings += kind.warnings(obj, None)
    async with kind.allocation(obj, None, context):
        if options.dry_run:
            if await objects.find(call.resource, meta.name(obj), call.namespace) is not None:
                raise AlreadyExists.of(call.resource, meta.name(obj))
            return Written(obj, None, True)
        return Written(obj, await _store_new(call, obj, generated), True)


def own(call: Call, obj: Object, options: WriteOptions, context: Context) -> Object:
    """The new object with its first owner: of what the client sent, not of what admission or allocation will add."""
    obj["metadata"].pop("managedFields", None)
    status = obj.pop("status", None) if call.kind.has_status else None
    owned = apply.track_update(None, obj, body_type(call), options.manager, context.now)
    return owned if status is None else owned | {"status": status}


def identify(call: Call, obj: Object) -> None:
    """Put the URL's namespace into the object, and refuse what contradicts the URL. Raises: BadRequest."""
    metadata = obj.setdefault("metadata", {})
    where = call.namespace
    if metadata.get("namespace") and metadata["namespace"] != where and call.resource.namespaced:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if where:
        metadata["namespace"] = where
    if metadata.pop("resourceVersion", "") not in ("", None):
        raise BadRequest("resourceVersion should not be set on objects to be created")


def give_name(metadata: Object) -> str:
    """Make a name of ``generateName`` if there is none; returns the prefix then, else ``""``."""
    prefix = metadata.get("generateName") or ""
    if metadata.get("name") or not prefix:
        return ""
    metadata["name"] = generate_name(prefix)
    return str(prefix)


def generate_name(prefix: str) -> str:
    suffix = "".join(random.choices(_SUFFIX_LETTERS, k=_SUFFIX_LENGTH))  # to be unlike others, not to be secret
    return prefix[:_MAX_GENERATED_PREFIX] + suffix


def stamp(metadata: Object, now: str) -> None:
    """The system's own fields; whatever the client sent for them is ignored."""
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid4())
    metadata["creationTimestamp"] = now


async def _store_new(call: Call, obj: Object, prefix: str) -> Entry:
    """A generated name that is taken is drawn again. Raises: AlreadyExists."""
    for _ in range(_NAME_ATTEMPTS if prefix else 1):
        name = obj["metadata"]["name"]
        try:
            return await call.server.objects.create(call.resource, name, call.namespace, obj)
        except AlreadyExists:
            if not prefix:
                raise
            obj["metadata"]["name"] = generate_name(prefix)
    raise AlreadyExists.generated(call.resource, name)


# -- update -----------------------------------------------------------------------------------------------------------


async def modify(
    call: Call, make: Make, options: WriteOptions, *, subresource: str | None = None, operation: str = "Update"
) -> Written:
    """Read, ``make``, check and write, until nobody interferes. Raises: NotFound, Conflict, ApiError."""
    entry: Entry | None = await call.server.objects.entry(call.resource, call.name, call.namespace)
    for _ in range(_WRITE_ATTEMPTS):
        if entry is None:
            raise NotFound.of(call.resource, call.name)
        old = decode(call.resource, entry)
        obj = make(decode(call.resource, entry))  # its own copy: what it returns may be changed in place
        check_identity(call, obj, old)
        try:
            return await _write_once(
                call, entry, obj, old, options, call.subresource if subresource is None else subresource, operation
            )
        except Moved as moved:
            entry = moved.current
    raise Timeout("the object changed too often while it was written", 1)


def check_identity(call: Call, obj: Object, old: Object) -> None:
    """The preconditions that an object carries in itself: name, namespace, uid, resourceVersion."""
    new, was = obj["metadata"], old["metadata"]
    name = was["name"]
    version = new.get("resourceVersion")
    if version and version != was["resourceVersion"]:
        raise Conflict.of(call.resource, name)
    if new.get("uid") and new["uid"] != was["uid"]:
        raise Conflict.of(call.resource, name, precondition("UID", new["uid"], was["uid"]))


def precondition(what: str, asked: str, found: str) -> str:
    noun = "UID" if what == "UID" else "ResourceVersion"
    return f"Precondition failed: {noun} in precondition: {asked}, {noun} in object meta: {found}"


async def _write_once(
    call: Call, entry: Entry, obj: Object, old: Object, options: WriteOptions, subresource: str, operation: str
) -> Written:
    """One attempt. Raises: Moved, ApiError."""
    kind = call.kind
    context = call.context(options.as_object(), dry_run=options.dry_run)
    kind.prepare_for_update(obj, old, context, subresource)
    if operation == "Update":
        obj = apply.track_update(old, obj, body_type(call), options.manager, context.now, subresource)
    attributes = call.attributes("UPDATE", obj, old, options.as_object(), options.dry_run)
    await admission.admit(call.server.plugins, attributes)
    obj = attributes.obj or obj
    if errors := kind.validate_update(obj, old, subresource):
        raise Invalid.of(call.resource, call.name, errors)
    await kind.check(obj, old, context)
    await admission.validate(call.server.plugins, attributes)
    call.warnings += kind.warnings(obj, old)
    obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    if unchanged(obj, old) and not released(obj):
        return Written(old, entry)
    async with kind.allocation(obj, old, context):
        if options.dry_run:
            return Written(obj, None)
        if released(obj):
            return await remove(call, entry, obj, context)
        return Written(obj, await call.server.objects.replace(entry, call.resource, obj))


def unchanged(obj: Object, old: Object) -> bool:
    """Equal but for the times in managedFields, which every write would move."""
    if obj["metadata"].get("managedFields") == old["metadata"].get("managedFields"):
        return obj == old
    return _without_times(obj) == _without_times(old)


def _without_times(obj: Object) -> Object:
    managed = [{**entry, "time": ""} for entry in obj["metadata"].get("managedFields") or ()]
    return obj | {"metadata": obj["metadata"] | {"managedFields": managed}}


def released(obj: Object) -> bool:
    """Deletion was asked for, and nothing holds the object any more: neither finalizers nor a grace period."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if (obj.get("spec") or {}).get("finalizers") and obj.get("kind") == "Namespace":
        return False
    return not metadata.get("deletionGracePeriodSeconds")


async def remove(call: Call, entry: Entry, obj: Object, context: Context) -> Written:
    """Take the object out of the store, telling its kind. Raises: Moved."""
    gone = await call.server.objects.remove(entry)
    await call.kind.deleted(obj, context)
    obj["metadata"]["resourceVersion"] = str(gone.revision)
    return Written(obj, None, deleted=True)
