"""Server-side tables: what ``kubectl get`` prints is decided here, so that old clients show new kinds properly.

A Table has column definitions and one row per object; each row carries cells for the eye and, as the client asks with
``includeObject``, nothing, the metadata (default) or the whole object for sorting and selecting.

Upstream: ``staging/src/k8s.io/apiserver/pkg/registry/rest/table.go``, ``endpoints/handlers/response.go``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sampan.api import clock
from sampan.api.errors import BadRequest
from sampan.apiserver.call import Call
from sampan.apiserver.kinds.base import Kind

Object = dict[str, Any]

INCLUDE = ("None", "Metadata", "Object")


def of_objects(
    call: Call, objs: Sequence[Object], version: str, resource_version: str, *, extra: Object | None = None,
    definitions: bool = True,
) -> Object:
    """A whole Table. ``extra`` goes into its metadata (``continue``). Raises: BadRequest."""
    include = include_object(call)
    now = clock.now()
    metadata = {"resourceVersion": resource_version} if resource_version else {}
    return {
        "kind": "Table", "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata | (extra or {}),
        "columnDefinitions": [column.as_definition() for column in call.kind.columns] if definitions else [],
        "rows": [row(call.kind, obj, now, include, version) for obj in objs],
    }


def include_object(call: Call) -> str:
    """Raises: BadRequest."""
    include = call.request.param("includeObject") if call.request.query else ""
    if include and include not in INCLUDE:
        raise BadRequest(f'unrecognized includeObject value: "{include}"')
    return include or "Metadata"


def row(kind: Kind, obj: Object, now: datetime, include: str, version: str) -> Object:
    out: Object = {"cells": kind.row(obj, now)}
    if include == "Object":
        out["object"] = obj
    elif include == "Metadata":
        out["object"] = {
            "kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"],
        }
    return out
