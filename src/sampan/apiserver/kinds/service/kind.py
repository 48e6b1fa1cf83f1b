"""The Service's answers to the verbs. Upstream: ``pkg/registry/core/service``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sampan.api import names
from sampan.api.errors import ApiError, FieldError
from sampan.apiserver.admission.base import Server
from sampan.apiserver.kinds.base import Context, Kind, Object
from sampan.apiserver.kinds.service import columns
from sampan.apiserver.kinds.service.defaults import default_service, drop_type_dependent, keep_allocated
from sampan.apiserver.kinds.service.ranges import Held, ServiceRanges
from sampan.apiserver.kinds.service.validation import validate_service, validate_service_update

#: For servers that were given no ranges of their own: upstream's defaults.
_ranges: WeakKeyDictionary[Server, ServiceRanges] = WeakKeyDictionary()


class ServiceKind(Kind):
    columns = columns.COLUMNS

    def default(self, obj: Object) -> None:
        default_service(obj)

    def prepare_for_create(self, obj: Object, ctx: Context) -> None:
        obj["status"] = {"loadBalancer": {}}

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        super().prepare_for_update(obj, old, ctx, subresource)
        if subresource == "":
            keep_allocated(obj["spec"], old["spec"])
            drop_type_dependent(obj["spec"], old["spec"])

    def name_problems(self, name: str) -> list[str]:
        return names.dns1035_label(name)

    def validate_object(self, obj: Object) -> list[FieldError]:
        return validate_service(obj.get("spec") or {})

    def validate_object_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource == "status":
            return []
        return validate_service_update(obj["spec"], old["spec"]) + self.validate_object(obj)

    def allocation(self, obj: Object, old: Object | None, ctx: Context) -> AbstractAsyncContextManager[None]:
        return self._allocation(obj, old, ctx)

    @asynccontextmanager
    async def _allocation(self, obj: Object, old: Object | None, ctx: Context) -> AsyncIterator[None]:
        ranges = ranges_of(ctx)
        await ranges.load(ctx.server)
        held = ranges.allocate(obj, old)
        try:
            yield
        except BaseException as error:
            _give_back(ranges, held, error)
            raise
        if ctx.dry_run:
            ranges.release(held)
            return
        ranges.settle(held)
        if old is not None:
            ranges.let_go(old, obj)

    async def deleted(self, obj: Object, ctx: Context) -> None:
        ranges_of(ctx).let_go(obj, None)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return columns.row(obj, now)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return super().selectable_fields(obj) | {"spec.clusterIP": spec.get("clusterIP") or "",
                                                 "spec.type": spec.get("type") or ""}


def ranges_of(ctx: Context) -> ServiceRanges:
    if ctx.ranges is not None:
        return ctx.ranges
    if ctx.server not in _ranges:
        _ranges[ctx.server] = ServiceRanges()
    return _ranges[ctx.server]


def _give_back(ranges: ServiceRanges, held: Held, error: BaseException) -> None:
    """A refused write did not happen. Any other failure may have left the object in the store."""
    if isinstance(error, ApiError) and error.code < 500:
        ranges.release(held)
    else:
        ranges.settle(held)
        ranges.forget()
