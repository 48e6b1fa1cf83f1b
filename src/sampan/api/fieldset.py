"""Which fields does an object have, and which differ between two objects?  The answers are sets (see ``fields``).

Two walks over value and type.  ``fields_of`` lists what a configuration says, for an applier; ``changes`` finds what a
write added or modified, and what it removed, for everybody else.  They mark structs differently, as upstream's do: an
applier owns leaves and list items, a writer also owns the structs that it was the first to create.

Upstream: structured-merge-diff/typed/tofieldset.go and compare.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sampan.api import types
from sampan.api.fields import SELF, Fields, item_key
from sampan.api.types import ANY_TYPE, Type

_ABSENT: Any = object()
_CONTAINERS = (dict, list)


class Changes(NamedTuple):
    """``changed`` is what was added or modified."""

    changed: Fields
    removed: Fields


def _is_leaf(value: Any, type: Type) -> bool:
    if value.__class__ is dict:
        return not value or type.merge == "atomic"
    return value.__class__ is not list or not value or type.kind != types.LIST or type.merge == "atomic"


def fields_of(value: Any, type: Type) -> Fields:
    """The set of fields below ``value`` that an applier of it owns."""
    if value.__class__ is list:
        return {item_key(item, type): _item_fields(item, type.element or ANY_TYPE) for item in value}
    found: Fields = {}
    for key, item in value.items():
        below_type = type.child(key) or ANY_TYPE
        if _is_leaf(item, below_type):
            if item != [] or below_type.merge == "atomic":  # an empty list that others may add to says nothing
                found[f"f:{key}"] = {}
            continue
        below = fields_of(item, below_type)
        found[f"f:{key}"] = {SELF: {}, **below} if key not in type.fields else below
    return found


def _item_fields(item: Any, type: Type) -> Fields:
    return {} if _is_leaf(item, type) else {SELF: {}, **fields_of(item, type)}


def whole(value: Any, type: Type) -> Fields:
    """The node of a value that appeared or went as a whole: every level of it is a member."""
    kind = value.__class__
    if not value or type.merge == "atomic":
        return {}
    found: Fields = {SELF: {}}
    if kind is dict:
        struct = type.fields
        element = type.element or ANY_TYPE
        for key, item in value.items():
            if item.__class__ is dict or item.__class__ is list:
                found["f:" + key] = whole(item, struct.get(key, element))
            else:
                found["f:" + key] = {}
        return found
    if kind is list and type.kind == types.LIST:
        element = type.element or ANY_TYPE
        for item in value:
            found[item_key(item, type)] = whole(item, element)
        return found
    return {}


def changes(old: Any, new: Any, type: Type) -> Changes:
    """What is different between two values of one non-atomic STRUCT, MAP, or free-form object."""
    changed: Fields = {}
    removed: Fields = {}
    struct, element = type.fields, type.element or ANY_TYPE
    for key, after in new.items():
        before = old.get(key, _ABSENT)
        below = struct.get(key, element)
        if before is _ABSENT and not below.always_there:
            changed["f:" + key] = whole(after, below) if after.__class__ in _CONTAINERS else {}
        elif before is _ABSENT or before != after:
            _compare("f:" + key, before, after, below, changed, removed)
    for key, before in old.items():
        if key not in new:
            _compare("f:" + key, before, _ABSENT, struct.get(key, element), changed, removed)
    return Changes(changed, removed)


def _compare(key: str, before: Any, after: Any, type: Type, changed: Fields, removed: Fields) -> None:
    if type.always_there:  # absent equals empty
        empty: Any = [] if type.kind == types.LIST else {}
        before = empty if before is _ABSENT else before
        after = empty if after is _ABSENT else after
        if before == after:
            return
    if before is _ABSENT:
        changed[key] = whole(after, type)
    elif after is _ABSENT:
        removed[key] = whole(before, type)
    elif before.__class__ is not after.__class__ or type.merge == "atomic":
        changed[key] = {}
    elif after.__class__ is dict:
        _descend(key, changes(before, after, type), changed, removed)
    elif after.__class__ is list and type.kind == types.LIST:
        _descend(key, _list_changes(before, after, type), changed, removed)
    else:
        changed[key] = {}


def _descend(key: str, found: Changes, changed: Fields, removed: Fields) -> None:
    if found.changed:
        changed[key] = found.changed
    if found.removed:
        removed[key] = found.removed


def _list_changes(old: list[Any], new: list[Any], type: Type) -> Changes:
    """Items are the same ones if their keys are, wherever they stand: order belongs to nobody."""
    changed: Fields = {}
    removed: Fields = {}
    had, has = _indexed(old, type), _indexed(new, type)
    element = type.element or ANY_TYPE
    for key in had | has:
        before, after = had.get(key, ()), has.get(key, ())
        if before == after:
            continue
        if len(before) > 1 or len(after) > 1:  # twins can't be told apart: they change as one
            (changed if after else removed)[key] = {}
        else:
            _compare(key, before[0] if before else _ABSENT, after[0] if after else _ABSENT, element, changed, removed)
    return Changes(changed, removed)


def _indexed(items: list[Any], type: Type) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item_key(item, type), []).append(item)
    return found
