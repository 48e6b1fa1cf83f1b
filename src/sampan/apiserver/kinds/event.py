"""Event, in two shapes that share one storage: core/v1 is what is stored, events.k8s.io/v1 is translated.

Upstream: ``pkg/apis/events/v1/conversion.go``, ``pkg/apis/core/validation/events.go``, ``printEvent``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import NAME, Column, Kind, Object
from sampan.apiserver.kinds.table import UNKNOWN, since

#: events.k8s.io/v1 field -> core/v1 field, where they differ.
_RENAMED = {
    "reportingController": "reportingComponent", "regarding": "involvedObject", "note": "message",
    "deprecatedSource": "source", "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp", "deprecatedCount": "count",
}
_BACK = {core: new for new, core in _RENAMED.items()}
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_MAX_NOTE_BYTES, _MAX_NAME, _MAX_REASON = 1024, 128, 128


class CoreEventKind(Kind):
    create_on_update = True
    columns = (
        Column("Last Seen", description="Time when this event was last observed."),
        Column("Type", description="Type of this event (Normal, Warning)."),
        Column("Reason", description="Why the component did what it says."),
        Column("Object", description="The object this event is about."),
        Column("Subobject", priority=1, description="The field of the object this event is about."),
        Column("Source", priority=1, description="The component reporting this event."),
        Column("Message", description="A human-readable description of the status of this operation."),
        Column("First Seen", priority=1, description="Time when this event was first observed."),
        Column("Count", priority=1, description="The number of times this event has occurred."),
        Column("Name", priority=1, format="name", description=NAME.description),
    )

    def validate_object(self, obj: Object) -> list[FieldError]:
        return _validate_core(obj)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return _row(obj, now)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        involved = obj.get("involvedObject") or {}
        fields = {f"involvedObject.{key}": involved.get(key) or "" for key in _INVOLVED}
        source = (obj.get("source") or {}).get("component") or obj.get("reportingComponent") or ""
        return super().selectable_fields(obj) | fields | {
            "reason": obj.get("reason") or "", "reportingComponent": obj.get("reportingComponent") or "",
            "source": source, "type": obj.get("type") or ""}


class EventKind(CoreEventKind):
    """events.k8s.io/v1."""

    converted = True

    def to_stored(self, obj: Object) -> Object:
        return {_RENAMED.get(key, key): value for key, value in obj.items()} | {"apiVersion": "v1"}

    def from_stored(self, obj: Object) -> Object:
        converted = {_BACK.get(key, key): value for key, value in obj.items()}
        return converted | {"apiVersion": "events.k8s.io/v1"}

    def validate_object(self, obj: Object) -> list[FieldError]:
        return _validate_core(self.to_stored(obj)) + _validate_new(obj)

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        errors = _validate_core(self.to_stored(obj))
        for key in ("eventTime", "reportingController", "reportingInstance", "action", "reason", "regarding",
                    "related", "note", "type"):
            if obj.get(key) != old.get(key):
                errors.append(FieldError.invalid(_RENAMED.get(key, key), obj.get(key), "field is immutable"))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return _row(self.to_stored(obj), now)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        fields = super().selectable_fields(self.to_stored(obj))
        renamed = {"regarding" + key.removeprefix("involvedObject"): value for key, value in fields.items()
                   if key.startswith("involvedObject.")}
        return fields | renamed | {"reportingController": fields["reportingComponent"]}


def _validate_core(event: Object) -> list[FieldError]:
    """An event about a namespaced object lives in its namespace; about a cluster-wide one in ``default`` or system."""
    namespace = event["metadata"].get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    path = "involvedObject.namespace"
    if about and about != namespace:
        return [FieldError.invalid(path, about, "does not match event.namespace")]
    if not about and namespace not in ("", "default", "kube-system"):
        return [FieldError.invalid(path, about, "does not match event.namespace")]
    return [FieldError.invalid("metadata.namespace", namespace, why) for why in names.dns_label(namespace)] \
        if namespace else []


def _validate_new(event: Object) -> list[FieldError]:
    errors = [FieldError.required(_RENAMED.get(key, key)) for key in ("eventTime", "action", "reason")
              if not event.get(key)]
    controller, instance = event.get("reportingController") or "", event.get("reportingInstance") or ""
    if not controller:
        errors.append(FieldError.required("reportingController"))
    errors += [FieldError.invalid("reportingController", controller, why) for why in names.qualified_name(controller)]
    if not instance:
        errors.append(FieldError.required("reportingInstance"))
    for key, most in (("reportingInstance", _MAX_NAME), ("action", _MAX_NAME), ("reason", _MAX_REASON),
                      ("note", _MAX_NOTE_BYTES)):
        if len((event.get(key) or "").encode()) > most:
            errors.append(FieldError.invalid(_RENAMED.get(key, key), "", f"can have at most {most} characters"))
    if event.get("type") not in ("Normal", "Warning"):
        errors.append(FieldError.invalid("type", event.get("type") or "", "has invalid value: "
                                         f"{event.get('type') or ''}"))
    return errors


def _row(event: Object, now: datetime) -> list[Any]:
    first = since(event.get("firstTimestamp") or event.get("eventTime"), now)
    last = since(event["lastTimestamp"], now) if event.get("lastTimestamp") else first
    count, series = event.get("count") or 1, event.get("series")
    if series:
        last, count = since(series.get("lastObservedTime"), now), series.get("count", 0)
    involved = event.get("involvedObject") or {}
    target = involved.get("kind", "").lower()
    if involved.get("name"):
        target += f"/{involved['name']}"
    return [last, event.get("type", ""), event.get("reason", ""), target, involved.get("fieldPath", ""),
            _source(event), (event.get("message") or "").strip(), first or UNKNOWN, count,
            event["metadata"].get("name", "")]


def _source(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    instance = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else component
