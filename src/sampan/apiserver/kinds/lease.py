"""Lease. Upstream: ``pkg/registry/coordination/lease``, ``pkg/apis/coordination/validation``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.rules import non_negative, positive
from sampan.apiserver.kinds.table import age


class LeaseKind(Kind):
    create_on_update = True
    columns = (NAME, Column("Holder", description="Identity of the holder of a current lease."), AGE)

    def validate_object(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = positive(spec.get("leaseDurationSeconds"), "spec.leaseDurationSeconds")
        return errors + non_negative(spec.get("leaseTransitions"), "spec.leaseTransitions")

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), (obj.get("spec") or {}).get("holderIdentity") or "", age(obj, now)]
