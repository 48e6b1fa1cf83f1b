"""``metadata.managedFields``: who owns which fields, one entry per writer.

A writer is a name, an operation (Apply or Update), a subresource and, for updates only, an API version.  Entries are
sorted, and when more than ten writers have updated an object the oldest updates become one, "ancient-changes".

Upstream: apimachinery/pkg/util/managedfields/internal (managedfields.go, capmanagers.go).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sampan.api.fields import Fields, difference, union

Object = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
MAX_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"


class Writer(NamedTuple):
    """Who owns. ``api_version`` is empty for appliers: an applier stays the same one when it moves to a new version."""

    manager: str
    operation: str
    api_version: str
    subresource: str

    @classmethod
    def of(cls, manager: str, operation: str, api_version: str, subresource: str) -> Writer:
        return cls(manager, operation, "" if operation == APPLY else api_version, subresource)


@dataclass(frozen=True, slots=True)
class Owned:
    """What a writer owns, since when, in the words of which API version."""

    fields: Fields
    api_version: str
    time: str = ""

    def entry(self, writer: Writer) -> Object:
        entry: Object = {"manager": writer.manager, "operation": writer.operation, "apiVersion": self.api_version}
        if self.time:
            entry["time"] = self.time
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": self.fields}
        if writer.subresource:
            entry["subresource"] = writer.subresource
        return entry


Owners = dict[Writer, Owned]


def decode(entries: Any) -> Owners | None:
    """The owners, ``None`` when the entries make no sense (then they count for nothing, as upstream has it)."""
    owners: Owners = {}
    for entry in entries or ():
        operation, api_version = entry.get("operation"), entry.get("apiVersion") or ""
        fields = entry.get("fieldsV1") or {}
        if operation not in (APPLY, UPDATE) or not api_version or not isinstance(fields, dict):
            return None
        if entry.get("fieldsType", "FieldsV1") not in ("FieldsV1", ""):
            return None
        writer = Writer.of(entry.get("manager") or "", operation, api_version, entry.get("subresource") or "")
        owners[writer] = Owned(fields, api_version, entry.get("time") or "")
    return owners


def encode(owners: Owners) -> list[Object]:
    """The entries: appliers first, then by time, then by name."""
    def order(item: tuple[Writer, Owned]) -> tuple[str, str, str, str, str]:
        writer, owned = item
        return writer.operation, owned.time, writer.manager, owned.api_version, writer.subresource

    return [owned.entry(writer) for writer, owned in sorted(owners.items(), key=order)]


def is_reset(entries: Any) -> bool:
    """``[]`` and ``[{}]`` ask for forgetting all owners."""
    return entries is not None and (len(entries) == 0 or (len(entries) == 1 and not entries[0]))


def current(old: Object | None, new: Object, subresource: str) -> Owners:
    """The owners before this write: those that the client sends back, else those of the live object."""
    live = (old or {}).get("metadata", {}).get("managedFields")
    if subresource:
        return decode(live) or {}
    sent = (new.get("metadata") or {}).get("managedFields")
    if is_reset(sent):
        return {}
    return (decode(sent) if sent else None) or decode(live) or {}


def take_away(owners: Owners, fields: Fields) -> Owners:
    """The owners without ``fields``; whoever owns nothing any more is gone."""
    if not fields:
        return owners
    left = {writer: difference(owned.fields, fields) for writer, owned in owners.items()}
    return {writer: owned if left[writer] == owned.fields else replace(owned, fields=left[writer])
            for writer, owned in owners.items() if left[writer]}


def capped(owners: Owners) -> Owners:
    """At most ``MAX_UPDATERS`` updates: the oldest of the same version become one."""
    updaters = [writer for writer in owners if writer.operation == UPDATE]
    if len(updaters) <= MAX_UPDATERS:
        return owners
    updaters.sort(key=lambda writer: (owners[writer].time, writer))
    owners, count = dict(owners), len(updaters)
    first: dict[str, Writer] = {}
    for writer in updaters:
        if count <= MAX_UPDATERS:
            break
        version = owners[writer].api_version
        if version not in first:
            first[version] = writer
            continue
        bucket = Writer(ANCIENT, UPDATE, version, "")
        if bucket not in owners:
            owners[bucket] = owners.pop(first[version])
        if writer != bucket:
            newer = owners.pop(writer)
            owners[bucket] = replace(newer, fields=union(owners[bucket].fields, newer.fields))
            count -= 1
    return owners
