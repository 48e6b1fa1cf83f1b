"""Sets of fields, in the very form in which ``managedFields`` stores them (``FieldsV1``), and their algebra.

A set is a tree of dicts.  Keys are path elements: ``f:name`` is a field or map key, ``k:{"name":"web"}`` an item of a
list map, ``v:"x"`` an item of a set.  A node without children is in the set; a node with children is in it only if it
has the key ``.``.  Working on the stored form saves decoding and encoding it on every write.  No function here
changes its arguments, and results share what they can with them.

Upstream: sigs.k8s.io/structured-merge-diff/fieldpath.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from sampan.api.types import Type

Fields = dict[str, Any]
SELF = "."
_MEMBER: Fields = {}


def is_member(node: Fields) -> bool:
    return not node or SELF in node


def node(member: bool, children: Fields) -> Fields | None:
    """The node for what is left of one, ``None`` for nothing."""
    if not children:
        return _MEMBER if member else None
    if member:
        return children if SELF in children else {SELF: {}, **children}
    return {key: value for key, value in children.items() if key != SELF} if SELF in children else children


def union(left: Fields, right: Fields) -> Fields:
    if not left or not right:
        return left or right
    result = dict(left)
    for key, theirs in right.items():
        ours = result.get(key)
        result[key] = theirs if ours is None else _union_node(ours, theirs)
    return result


def _union_node(left: Fields, right: Fields) -> Fields:
    if left == right:
        return left
    found = node(is_member(left) or is_member(right), union(left, right))
    return _MEMBER if found is None else found


def difference(left: Fields, right: Fields) -> Fields:
    """What is in ``left`` and, itself, not in ``right``; the children of a removed member stay."""
    if not left or not right:
        return left
    result: Fields = {}
    for key, ours in left.items():
        theirs = right.get(key)
        rest = ours if theirs is None else _difference_node(ours, theirs)
        if rest is not None:
            result[key] = rest
    return result


def _difference_node(left: Fields, right: Fields) -> Fields | None:
    member = is_member(left) and not is_member(right)
    return node(member, difference(_children(left), _children(right)))


def intersection(left: Fields, right: Fields) -> Fields:
    result: Fields = {}
    for key, ours in left.items():
        theirs = right.get(key)
        if theirs is not None:
            member = is_member(ours) and is_member(theirs)
            both = node(member, intersection(_children(ours), _children(theirs)))
            if both is not None:
                result[key] = both
    return result


def without(left: Fields, right: Fields) -> Fields:
    """``left`` without the members of ``right`` and everything below them."""
    result: Fields = {}
    for key, ours in left.items():
        theirs = right.get(key)
        if theirs is None:
            result[key] = ours
        elif not is_member(theirs):
            rest = node(is_member(ours), without(_children(ours), theirs))
            if rest is not None:
                result[key] = rest
    return result


def _children(fields: Fields) -> Fields:
    return {key: value for key, value in fields.items() if key != SELF} if SELF in fields else fields


def named_fields_as_members(fields: Fields, type: Type | None) -> Fields:
    """The set, with every struct's field on the way to a member made a member too."""
    result: Fields = {}
    for key, below in fields.items():
        if key == SELF or not below:
            result[key] = below
            continue
        is_field = type is not None and key.startswith("f:") and key[2:] in type.fields
        made = node(is_field or SELF in below, named_fields_as_members(_children(below), child_type(type, key)))
        result[key] = _MEMBER if made is None else made
    return result


def child_type(type: Type | None, key: str) -> Type | None:
    if type is None:
        return None
    return type.child(key[2:]) if key.startswith("f:") else type.element


def item_key(item: Any, type: Type) -> str:
    """The path element of a list's item: ``v:`` and its value in a set, ``k:`` and its keys in a list map."""
    if type.merge == "set" or not isinstance(item, dict):
        return f"v:{orjson.dumps(item).decode()}"
    if len(type.keys) == 1:  # nearly always
        only = type.keys[0]
        value = item.get(only)
        if value.__class__ is str and len(value) < 64:
            return _named(only, value)
        if value is not None:
            return f'k:{{"{only}":{orjson.dumps(value).decode()}}}'
    found: Fields = {}
    for key in sorted(type.keys):
        value = item.get(key)
        if value is None:
            value = _default(type, key)
        if value is not None:
            found[key] = value
    return f"k:{orjson.dumps(found).decode()}"


@lru_cache(maxsize=4096)
def _named(key: str, value: str) -> str:
    """Most items of lists are known by a name, and most names are met again and again."""
    return f'k:{{"{key}":{orjson.dumps(value).decode()}}}'


def _default(type: Type, key: str) -> Any:
    field = type.element.child(key) if type.element else None
    return field.default if field is not None else None


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """The members as upstream prints them: ``.spec.containers[name="web"].image``, in order."""
    for key in sorted(key for key in fields if key != SELF):
        path = prefix + _shown(key)
        if is_member(fields[key]):
            yield path
        yield from paths(_children(fields[key]), path)


def _shown(key: str) -> str:
    kind, _, rest = key.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "v":
        return f"[={rest}]"
    if kind == "k":
        keys = orjson.loads(rest)
        return f"[{','.join(f'{name}={orjson.dumps(value).decode()}' for name, value in keys.items())}]"
    return f"[{rest}]"
