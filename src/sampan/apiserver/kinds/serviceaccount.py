"""ServiceAccount. Upstream: ``pkg/registry/core/serviceaccount/strategy.go``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sampan.apiserver.kinds.base import AGE, NAME, Column, Kind, Object
from sampan.apiserver.kinds.table import age


class ServiceAccountKind(Kind):
    columns = (NAME, Column("Secrets", description="Secrets that pods running under this account may use."), AGE)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), len(obj.get("secrets") or ()), age(obj, now)]
