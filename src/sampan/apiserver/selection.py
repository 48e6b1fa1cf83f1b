"""Which of the listed or watched objects does the client want?  Label and field selectors of a collection request.

Upstream: ``staging/src/k8s.io/apiserver/pkg/storage/selection_predicate.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sampan.api import meta
from sampan.api.errors import BadRequest
from sampan.api.selectors import (
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_field_selector,
    parse_label_selector,
)
from sampan.apiserver.call import Call
from sampan.apiserver.kinds.base import Kind

Object = dict[str, Any]

_parse_labels = lru_cache(maxsize=1024)(parse_label_selector)
_parse_fields = lru_cache(maxsize=4096)(parse_field_selector)


@dataclass(frozen=True, slots=True)
class Selection:
    """``None`` selects everything."""

    kind: Kind
    labels: LabelSelector | None = None
    fields: FieldSelector | None = None

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None

    @property
    def name(self) -> str | None:
        """The one object that can match, if the selectors say so: then one key is read instead of all."""
        return self.fields.exact("metadata.name") if self.fields is not None else None

    def matches(self, obj: Object) -> bool:
        if self.labels is not None and not self.labels.matches(meta.labels(obj)):
            return False
        return self.fields is None or self.fields.matches(self.kind.selectable_fields(obj))


def selection(call: Call) -> Selection:
    """Of the query's labelSelector and fieldSelector, and of the name in ``/watch/`` paths. Raises: BadRequest."""
    labels = call.request.param("labelSelector") if call.request.query else ""
    fields = call.request.param("fieldSelector") if call.request.query else ""
    if call.name:
        fields = ",".join(filter(None, (fields, f"metadata.name={call.name}")))
    if not labels and not fields:
        return Selection(call.kind)
    return Selection(call.kind, _labels(labels), _fields(call.kind, fields))


def _labels(text: str) -> LabelSelector | None:
    if not text:
        return None
    try:
        selector = _parse_labels(text)
    except SelectorError as error:
        raise BadRequest(str(error)) from error
    return None if selector.empty else selector


def _fields(kind: Kind, text: str) -> FieldSelector | None:
    """A field that the kind does not offer is refused."""
    if not text:
        return None
    try:
        selector = _parse_fields(text)
    except SelectorError as error:
        raise BadRequest(str(error)) from error
    offered = kind.selectable_fields({"metadata": {}})
    for requirement in selector.requirements:
        if requirement.field not in offered:
            raise BadRequest(f"field label not supported: {requirement.field}")
    return selector
