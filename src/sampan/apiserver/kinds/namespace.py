"""Namespace: its name is a DNS label, its ``spec.finalizers`` keep it until it is empty.

Deletion only marks it Terminating; the namespace controller empties it and then removes ``kubernetes`` through the
finalize endpoint.  Upstream: ``pkg/registry/core/namespace``.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from sampan.api import names
from sampan.api.clock import rfc3339
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.base import AGE, NAME, Column, Context, Kind, Object, keep
from sampan.apiserver.kinds.table import age

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceKind(Kind):
    columns = (NAME, Column("Status", description="The status of the namespace"), AGE)

    def default(self, obj: Object) -> None:
        _label_with_name(obj["metadata"])
        obj.setdefault("spec", {})

    def prepare_for_create(self, obj: Object, ctx: Context) -> None:
        _label_with_name(obj["metadata"])  # a generated name was not there yet when defaults were set
        obj["status"] = {"phase": "Active"}
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        obj["spec"] = {"finalizers": [*finalizers, *([] if FINALIZER in finalizers else [FINALIZER])]}

    def prepare_for_update(self, obj: Object, old: Object, ctx: Context, subresource: str = "") -> None:
        super().prepare_for_update(obj, old, ctx, subresource)
        if subresource == "":
            spec = obj["spec"] = dict(obj.get("spec") or {})
            keep(spec, old.get("spec") or {}, "finalizers")
        elif subresource == "finalize":
            keep(obj, old, "status")

    def validate_object(self, obj: Object) -> list[FieldError]:
        return [FieldError.invalid("spec.finalizers", each, why)
                for each in (obj.get("spec") or {}).get("finalizers") or ()
                for why in _finalizer_problems(each)]

    def name_problems(self, name: str) -> list[str]:
        return names.dns_label(name)

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), (obj.get("status") or {}).get("phase", ""), age(obj, now)]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return super().selectable_fields(obj) | {"name": obj["metadata"].get("name", ""),
                                                 "status.phase": (obj.get("status") or {}).get("phase") or ""}


def _label_with_name(metadata: Object) -> None:
    """Every namespace carries its name as a label, so that selectors can name one."""
    if metadata.get("name"):
        metadata["labels"] = (metadata.get("labels") or {}) | {NAME_LABEL: metadata["name"]}


def _finalizer_problems(name: str) -> list[str]:
    problems = names.qualified_name(name)
    if not problems and "/" not in name and name != FINALIZER:
        return ["name is neither a standard finalizer name nor is it fully qualified"]
    return problems


def terminating(namespace: Object, now: datetime) -> Object:
    """What DELETE writes while ``spec.finalizers`` is not empty: deletionTimestamp and phase Terminating."""
    marked = copy.deepcopy(namespace)
    marked["metadata"].setdefault("deletionTimestamp", rfc3339(now))
    marked.setdefault("status", {})["phase"] = "Terminating"
    return marked


def is_finalized(namespace: Object) -> bool:
    """Whether a deleted namespace may leave the store."""
    return not (namespace.get("spec") or {}).get("finalizers")
