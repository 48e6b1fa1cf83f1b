"""Server-side apply, and the bookkeeping of field ownership that every other write does for it.

``apply_patch`` merges a configuration into the live object.  It refuses to change a field that somebody else owns
(unless forced), and takes away what the applier used to apply and no longer does, unless somebody else owns that too.
``track_update`` runs on every create, update and patch: whatever the write changed now belongs to its writer.

Upstream: apimachinery/pkg/util/managedfields, structured-merge-diff/merge/update.go, KEP-555.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from sampan.api import decode, ownership, typed_merge
from sampan.api.clock import rfc3339
from sampan.api.encoding import fresh_copy
from sampan.api.errors import ApiError, BadRequest, Conflict, quote
from sampan.api.fields import Fields, difference, intersection, named_fields_as_members, paths, union, without
from sampan.api.fieldset import Changes, changes, fields_of
from sampan.api.ownership import APPLY, BEFORE_FIRST_APPLY, UPDATE, Owned, Owners, Writer
from sampan.api.resources import by_kind
from sampan.api.types import Type

Object = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

#: The server's own fields: nobody owns them.
_UNOWNED_META = ("name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields",
                 "resourceVersion")
_UNOWNED: Fields = {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {f"f:{key}": {} for key in _UNOWNED_META}}


def track_update(old: Object | None, new: Object, type: Type, manager: str, now: datetime, subresource: str = "",
                 operation: str = UPDATE) -> Object:
    """``new`` as it is to be stored, with ``metadata.managedFields`` kept up to date; arguments are not changed.

    ``old`` is the live object, ``None`` for a create. A write that changes nothing leaves the entries as they are.
    """
    owners = ownership.current(old, new, subresource)
    if not owners and old is not None:
        return _with_entries(new, [])  # nobody's object stays nobody's until somebody applies
    found = _owned_changes(old or {}, new, type, subresource)
    owners = ownership.take_away(owners, union(found.changed, found.removed))
    if found.changed:
        api_version = new.get("apiVersion") or ""
        writer = Writer.of(manager, operation, api_version, subresource)
        before = owners.get(writer)
        fields = union(before.fields, found.changed) if before else found.changed
        owners = ownership.capped(owners | {writer: Owned(fields, api_version, rfc3339(now))})
    return _with_entries(new, ownership.encode(owners))


def _owned_changes(old: Object, new: Object, type: Type, subresource: str) -> Changes:
    """The changes that count: not those of the server's own fields, nor of what this endpoint can't write."""
    found = changes(_relevant(old, new, subresource), _relevant(new, new, subresource), type)
    return Changes(_without_unowned(found.changed), found.removed)


def _relevant(obj: Object, new: Object, subresource: str) -> Object:
    reset = _reset_field(new, subresource)
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", reset)}


def _reset_field(obj: Object, subresource: str) -> str:
    """What the endpoint discards: the status on the object itself, the spec on its status."""
    if subresource == "status":
        return "spec"
    resource = by_kind(obj.get("apiVersion") or "", obj.get("kind") or "")
    return "status" if not subresource and resource is not None and resource.subresource("status") else ""


def _without_unowned(fields: Fields) -> Fields:
    meta = fields.get("f:metadata")
    if meta is None:
        return fields
    owned = difference(meta, _UNOWNED["f:metadata"])
    owned.pop(".", None)
    rest = {key: value for key, value in fields.items() if key != "f:metadata"}
    return {"f:metadata": owned, **rest} if owned else rest


def _with_entries(obj: Object, entries: list[Object]) -> Object:
    meta = obj.get("metadata") or {}
    if not entries and "managedFields" not in meta:
        return obj
    fresh = {key: value for key, value in meta.items() if key != "managedFields"}
    if entries:
        fresh["managedFields"] = entries
    return obj | {"metadata": fresh}


def apply_patch(live: Object | None, applied: Object, type: Type, manager: str, force: bool, now: datetime,
                subresource: str = "") -> Object:
    """The object after ``manager`` applied ``applied``; a fresh one. ``live`` is ``None`` where there is none yet.

    Applying the same again returns the live object as it is. Raises: Conflict with upstream's causes; BadRequest;
    ApiError (500, as upstream) for a configuration that does not fit the schema.
    """
    config = _checked(live, applied, type)
    base: Object = live if live is not None else {"apiVersion": applied["apiVersion"], "kind": applied["kind"]}
    owners = ownership.decode((base.get("metadata") or {}).get("managedFields")) or {}
    if live is not None and not owners:
        owners = _before_first_apply(live, type, now, subresource)
    plain = _with_entries(base, [])
    writer = Writer.of(manager, APPLY, "", subresource)
    try:
        merged, owners, changed = _applied(plain, config, type, owners, writer, force)
    except Conflict as conflict:
        merged, owners, changed = _upgraded(plain, config, type, owners, writer, conflict)
    result = _with_last_applied(merged, applied, manager)
    if changed:
        owners = owners | ({writer: replace(owners[writer], time=rfc3339(now))} if writer in owners else {})
    fresh: Object = fresh_copy(_with_entries(result, ownership.encode(owners)))
    return fresh


def _checked(live: Object | None, applied: Object, type: Type) -> Object:
    """The configuration in canonical form, once it is known to fit."""
    if not isinstance(applied, dict) or not applied.get("apiVersion") or not applied.get("kind"):
        raise BadRequest("Object 'Kind' is missing in the apply configuration" if isinstance(applied, dict) and
                         applied.get("apiVersion") else "Object 'apiVersion' is missing in the apply configuration")
    if live is not None and live.get("apiVersion") != applied["apiVersion"]:
        raise BadRequest("Incorrect version specified in apply patch. Specified patch version: "
                         f"{applied['apiVersion']}, expected: {live.get('apiVersion')}")
    if (applied.get("metadata") or {}).get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    if found := typed_merge.mistakes(applied, type):
        raise _untyped(applied, found)
    config: Object = fresh_copy(applied)
    try:
        decode.prune(config, type)
    except decode.DecodeError as error:
        raise BadRequest(f"{applied['kind']} in version {quote(applied['apiVersion'].rpartition('/')[2])} cannot be "
                         f"handled as a {type.short_name}: {error}") from None
    return config


def _untyped(applied: Object, found: list[str]) -> ApiError:
    """Upstream's own answer to a configuration with an unknown field is a 500 without a reason."""
    meta = applied.get("metadata") or {}
    text = found[0] if len(found) == 1 else "errors:\n  " + "\n  ".join(found)
    group, _, version = applied["apiVersion"].rpartition("/")
    error = ApiError(f"failed to create typed patch object ({meta.get('namespace', '')}/{meta.get('name', '')}; "
                     f"{group}/{version}, Kind={applied['kind']}): {text}")
    del error.status["reason"]
    return error


def _before_first_apply(live: Object, type: Type, now: datetime, subresource: str) -> Owners:
    """An object without owners: all it has belongs to an owner of its own, so that the first apply meets conflicts."""
    fields = _owned_changes({}, live, type, subresource).changed
    writer = Writer.of(BEFORE_FIRST_APPLY, UPDATE, live.get("apiVersion") or "", subresource)
    return {writer: Owned(fields, writer.api_version, rfc3339(now))} if fields else {}


def _applied(live: Object, config: Object, type: Type, owners: Owners, writer: Writer,
             force: bool) -> tuple[Object, Owners, bool]:
    """(merged object, owners, did anything change?). Raises: Conflict."""
    api_version = config["apiVersion"]
    before = owners.get(writer)
    fields = _config_fields(config, type, writer.subresource)
    mine = Owned(fields, api_version, before.time if before else "")
    claims = owners | {writer: mine}
    merged = typed_merge.merge(live, config, type)
    if before is not None and before.fields:
        merged = _pruned(merged, before.fields, claims, type)
    found = changes(live, merged, type)
    others = {who: owned for who, owned in claims.items() if who != writer}
    if not force:
        _refuse_conflicts(others, found.changed)
    left = ownership.take_away(others, union(found.changed, found.removed))
    if fields:
        left = left | {writer: mine}
    changed = bool(found.changed or found.removed) or before is None or left != owners
    return merged, left, changed


def _config_fields(config: Object, type: Type, subresource: str) -> Fields:
    reset = _reset_field(config, subresource)
    fields = fields_of(config, type)
    return _without_unowned(without(fields, {"f:apiVersion": {}, "f:kind": {}} | ({f"f:{reset}": {}} if reset else {})))


def _pruned(merged: Object, last: Fields, owners: Owners, type: Type) -> Object:
    """``merged`` without what the applier applied last time, does not apply now, and nobody else owns."""
    def members(fields: Fields) -> Fields:
        return named_fields_as_members(fields, type)

    have = members(fields_of(merged, type))
    owned = _UNOWNED  # the server's own fields are nobody's, but they must outlive their neighbours
    for each in owners.values():
        owned = union(owned, each.fields)
    kept = typed_merge.remove(merged, members(last), type) or {}
    kept = typed_merge.remove(merged, difference(have, union(members(fields_of(kept, type)), members(owned))), type)
    left = members(fields_of(kept or {}, type))
    gone = intersection(difference(have, left), members(last))
    result: Object = typed_merge.remove(merged, gone, type) or {}
    return result


def _refuse_conflicts(others: Owners, changed: Fields) -> None:
    conflicts = [(writer, path) for writer in sorted(others)
                 for path in paths(intersection(others[writer].fields, changed))]
    if not conflicts:
        return
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {_shown(writer)}", "field": path}
              for writer, path in conflicts]
    if len(conflicts) == 1:
        text = f"Apply failed with 1 conflict: conflict with {_shown(conflicts[0][0])}: {conflicts[0][1]}"
    else:
        lines: list[str] = []
        for writer in dict.fromkeys(writer for writer, _ in conflicts):
            lines.append(f"conflicts with {_shown(writer)}:")
            lines += [f"- {path}" for who, path in conflicts if who == writer]
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    raise Conflict(text, details={"causes": causes})


def _shown(writer: Writer) -> str:
    """``"kubectl-client-side-apply" using apps/v1``."""
    text = quote(writer.manager)
    if writer.subresource:
        text += f" with subresource {quote(writer.subresource)}"
    return f"{text} using {writer.api_version}" if writer.operation == UPDATE else text


def _upgraded(live: Object, config: Object, type: Type, owners: Owners, writer: Writer,
              conflict: Conflict) -> tuple[Object, Owners, bool]:
    """kubectl moving from client-side apply: what its last-applied annotation names may be taken over."""
    if writer.manager != "kubectl":
        raise conflict
    try:
        last = orjson.loads((live.get("metadata") or {}).get("annotations", {}).get(LAST_APPLIED) or b"null")
    except orjson.JSONDecodeError:
        raise conflict from None
    if not isinstance(last, dict) or typed_merge.mistakes(last, type):
        raise conflict
    allowed = set(paths(fields_of(last, type)))
    if any(cause["field"] not in allowed for cause in conflict.causes):
        raise conflict
    return _applied(live, config, type, owners, writer, True)


def _with_last_applied(obj: Object, applied: Object, manager: str) -> Object:
    """Where kubectl's annotation exists, kubectl's server-side apply keeps it true."""
    meta = obj.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    if manager != "kubectl" or not annotations.get(LAST_APPLIED):
        return obj
    bare = fresh_copy(applied)
    for key in ("managedFields", "resourceVersion", "uid", "creationTimestamp"):
        bare.get("metadata", {}).pop(key, None)
    bare.get("metadata", {}).get("annotations", {}).pop(LAST_APPLIED, None)
    text = orjson.dumps(bare, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    return obj | {"metadata": meta | {"annotations": annotations | {LAST_APPLIED: text}}}
