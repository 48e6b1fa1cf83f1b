"""ConfigMap: keys become file names; ``immutable`` is a promise for good. Upstream: ``ValidateConfigMap``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.table import age

MAX_SIZE_BYTES = 1024 * 1024
WHEN_IMMUTABLE = "field is immutable when `immutable` is set"


class ConfigMapKind(Kind):
    columns = (NAME, Column("Data", description="Data contains the configuration data."), AGE)

    def validate_object(self, obj: Object) -> list[FieldError]:
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        errors = []
        for path, entries in (("data", data), ("binaryData", binary)):
            for key in entries:
                errors += [FieldError.invalid(f"{path}[{key}]", key, why) for why in names.config_map_key(key)]
        errors += [FieldError.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
                   for key in data if key in binary]
        size = sum(len(v.encode()) for v in data.values()) + sum(len(v) * 3 // 4 for v in binary.values())
        if size > MAX_SIZE_BYTES:
            errors.append(FieldError.too_long("", obj, MAX_SIZE_BYTES))
        return errors

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return immutable_data(obj, old, ("data", "binaryData")) + self.validate_object(obj)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
        return [obj["metadata"].get("name", ""), count, age(obj, now)]


def immutable_data(obj: Object, old: Object, fields: tuple[str, ...]) -> list[FieldError]:
    """What ``immutable: true`` forbids, for ConfigMap and Secret."""
    if not old.get("immutable"):
        return []
    errors = [] if obj.get("immutable") else [FieldError.forbidden("immutable", WHEN_IMMUTABLE)]
    return errors + [FieldError.forbidden(field, WHEN_IMMUTABLE) for field in fields
                     if (obj.get(field) or {}) != (old.get(field) or {})]
