"""Strategic merge patch: a merge patch that knows which lists are merged by a key, and by which.

Directives inside the patch say what merging alone can't: ``$patch: replace | delete`` in a map or a list element,
``$deleteFromPrimitiveList/FIELD``, ``$setElementOrder/FIELD`` and ``$retainKeys``.  Order in merged lists: the
items that the patch names, in the patch's order, with the server's other items kept before what they stood before.

Upstream: apimachinery/pkg/util/strategicpatch; the error texts are its.
"""

from __future__ import annotations

from typing import Any

from sampan.api import types
from sampan.api.encoding import fresh_copy
from sampan.api.errors import BadRequest, Invalid
from sampan.api.jsonpatch import REFUSED
from sampan.api.types import Type

Map = dict[str, Any]
DIRECTIVE, RETAIN_KEYS = "$patch", "$retainKeys"
DELETE_FROM, ORDER = "$deleteFromPrimitiveList", "$setElementOrder"


def apply(obj: Map, patch: Map, type: Type | None = None) -> Map:
    """The patched object, which shares nothing with ``obj`` or ``patch``. Raises: BadRequest, Invalid."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document")
    return _merge_map(fresh_copy(obj), fresh_copy(patch), type or types.ANY_TYPE)


def _merge_map(original: Map, patch: Map, type: Type) -> Map:
    if DIRECTIVE in patch:
        return _directed(patch)
    _retain_keys(original, patch)
    _merge_ordered_lists(original, patch, type)
    for name, value in patch.items():
        key, deleting = _delete_list(name)
        if value is None:
            original.pop(key, None)
        elif key not in original or original[key].__class__ is not value.__class__:
            if not deleting:
                _put(original, key, _without_nulls(value))
        elif isinstance(value, dict):
            original[key] = _merge_map_field(original[key], value, _field(type, key))
        elif isinstance(value, list):
            original[key] = _merge_list_field(original[key], value, _field(type, key), deleting)
        else:
            original[key] = value
    return original


def _directed(patch: Map) -> Map:
    directive = patch.pop(DIRECTIVE)
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    raise BadRequest(f"unknown patch type: {directive} in map: {patch}")


def _field(type: Type, key: str) -> Type:
    found = type.child(key)
    if found is None:
        raise BadRequest(f'unable to find api field "{key}"')
    return found


def _delete_list(name: str) -> tuple[str, bool]:
    if not name.startswith(DELETE_FROM):
        return name, False
    if not name.startswith(f"{DELETE_FROM}/"):
        raise BadRequest("invalid patch format of primitive list")
    return name[len(DELETE_FROM) + 1:], True


def _retain_keys(original: Map, patch: Map) -> None:
    """``$retainKeys``: keys of the original that are not listed go (the other members of a union)."""
    keep = patch.pop(RETAIN_KEYS, None)
    if keep is None:
        return
    if not isinstance(keep, list):
        raise BadRequest("invalid patch format of retainKeys")
    if any(key not in keep for key, value in patch.items() if value is not None and not key.startswith("$")):
        raise Invalid(REFUSED, details={"causes": [{"message": "patch content doesn't match retainKeys list"}]})
    for key in [key for key in original if key not in keep]:
        del original[key]


def _put(original: Map, key: str, value: Any) -> None:
    kept, value = _without_directives(value)
    if kept:
        original[key] = value
    else:
        original.pop(key, None)


def _without_directives(value: Any) -> tuple[bool, Any]:
    """Where there is nothing to merge with, directives mean nothing; a map that holds ``$patch`` goes as a whole."""
    if isinstance(value, dict):
        if DIRECTIVE in value:
            return False, None
        found = {key: _without_directives(item) for key, item in value.items()}
        return True, {key: item for key, (kept, item) in found.items() if kept}
    if isinstance(value, list):
        return True, [item for kept, item in map(_without_directives, value) if kept]
    return True, value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _merge_map_field(original: Map, patch: Map, type: Type) -> Map:
    return patch if "replace" in type.patch_strategy else _merge_map(original, patch, type)


def _merge_list_field(original: list[Any], patch: list[Any], type: Type, deleting: bool = False) -> list[Any]:
    if deleting:
        return [item for item in original if item not in patch]
    if "merge" not in type.patch_strategy:
        return patch
    if not original and not patch:
        return original
    if not any(isinstance(item, dict) for item in original + patch):
        merged = list(dict.fromkeys(original + patch))
        return _ordered(merged, patch, original, "")
    key = type.patch_merge_key
    if not key:
        raise BadRequest("cannot merge lists without merge key")
    original, patch = _apply_list_directives(original, patch, key)
    return _ordered(_merge_items(original, patch, key, type.element or types.ANY_TYPE), patch, original, key)


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise BadRequest(f"expected a map[string]interface {{}}, but received a {item.__class__.__name__}")
    if key not in item:
        raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
    return item[key]


def _identity(item: Any, key: str) -> Any:
    """What makes a list item the same one: its merge key's value, or itself when it is a scalar."""
    if key:
        return _key_of(item, key)
    if isinstance(item, dict | list):
        raise BadRequest("cannot merge lists without merge key")
    return item


def _apply_list_directives(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Elements with ``$patch``: delete takes its match away, replace makes the other elements the whole list."""
    plain, replace = [], False
    for item in patch:
        directive = item.get(DIRECTIVE) if isinstance(item, dict) else None
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            gone = _key_of(item, key)
            original = [have for have in original if have.get(key) != gone]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise BadRequest("merging lists cannot yet be specified in the patch")
        else:
            raise BadRequest(f"unknown patch type: {directive} in map: {item}")
    return (plain, []) if replace else (original, plain)


def _merge_items(original: list[Any], patch: list[Any], key: str, element: Type) -> list[Any]:
    merged = list(original)
    for item in patch:
        wanted = _key_of(item, key)
        index = next((i for i, have in enumerate(merged) if have.get(key) == wanted), None)
        if index is None:
            merged.append(item)
        else:
            merged[index] = _merge_map(merged[index], item, element)
    return merged


def _ordered(merged: list[Any], wanted: list[Any], server: list[Any], key: str) -> list[Any]:
    """Put ``merged`` in order: items of ``wanted`` as there, the others as in ``server``, and the two interleaved."""
    rank = {_identity(item, key): place for place, item in reversed(list(enumerate(wanted)))}
    server_rank = {_identity(item, key): place for place, item in reversed(list(enumerate(server)))}
    named = sorted((item for item in merged if _identity(item, key) in rank),
                   key=lambda item: rank[_identity(item, key)])
    others = sorted((item for item in merged if _identity(item, key) not in rank),
                    key=lambda item: server_rank.get(_identity(item, key), len(server)))
    result: list[Any] = []
    while others and named:
        left, right = server_rank.get(_identity(others[0], key)), server_rank.get(_identity(named[0], key))
        first = left is not None and right is not None and left < right
        result.append(others.pop(0) if first else named.pop(0))
    return result + others + named


def _merge_ordered_lists(original: Map, patch: Map, type: Type) -> None:
    """``$setElementOrder/FIELD``: merge that field now, and order the result by the directive."""
    for name in [name for name in patch if name.startswith(ORDER)]:
        order = patch.pop(name)
        field = name[len(ORDER) + 1:]
        if not name.startswith(f"{ORDER}/") or not isinstance(order, list):
            raise BadRequest("invalid patch format of setElementOrder list")
        have, change = original.get(field), patch.pop(field, None)
        if have is None and change is None:
            continue
        if not isinstance(have or [], list) or not isinstance(change or [], list):
            raise BadRequest("invalid patch format of setElementOrder list")
        field_type = _field(type, field)
        key = field_type.patch_merge_key
        _check_order(change or [], order, key)
        if change is None:
            merged = have
        else:
            merged = _without_directives(change)[1] if have is None else _merge_list_field(have, change, field_type)
        original[field] = _ordered(merged or [], order, _server_order(have or [], change or [], key), key)


def _server_order(have: list[Any], change: list[Any], key: str) -> list[Any]:
    """The live order that decides where unnamed items go.

    Upstream deletes and appends in the live list's own memory before it looks at the order, so an added item counts as
    standing in the place that a deleted one has left; clients see that order, so it is kept.
    """
    if not key:
        return have
    gone = [item.get(key) for item in change if isinstance(item, dict) and item.get(DIRECTIVE) == "delete"]
    known = [_key_of(item, key) for item in have]
    added = [item for item in change if DIRECTIVE not in item and _key_of(item, key) not in known]
    return ([item for item in have if item[key] not in gone] + added)[:len(have)]


def _check_order(change: list[Any], order: list[Any], key: str) -> None:
    """What the patch adds must stand in the order list, and in the same order."""
    rest = [_identity(item, key) for item in order]
    for item in change:
        if isinstance(item, dict) and DIRECTIVE in item:
            continue
        wanted = _identity(item, key)
        if order and wanted not in rest:
            raise BadRequest(f"The order in patch list:\n{change}\n doesn't match {ORDER} list:\n{order}\n")
        del rest[:rest.index(wanted) + 1 if wanted in rest else 0]
