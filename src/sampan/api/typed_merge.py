"""Merges a configuration into a live object by the schema, takes sets of fields out again, and checks configurations.

Maps and structs merge by key, list maps and sets by item, atomic values are replaced.  A merged list keeps the live
order, except that items which the configuration names come in its order.

Upstream: structured-merge-diff/typed/merge.go, remove.go, validate.go.
"""

from __future__ import annotations

from typing import Any

from sampan.api import types
from sampan.api.fields import SELF, Fields, item_key, paths
from sampan.api.types import ANY_TYPE, Type

_NUMERIC = (types.INTEGER, types.NUMBER)
_TEXT = (types.STRING, types.BYTES)


def merge(live: Any, config: Any, type: Type) -> Any:
    """``config`` laid over ``live``; neither is changed, the result shares parts of both."""
    if live.__class__ is not config.__class__ or type.merge == "atomic":
        return config
    if config.__class__ is dict:
        result = dict(live)
        for key, value in config.items():
            result[key] = merge(live[key], value, type.child(key) or ANY_TYPE) if key in live else value
        return result
    if config.__class__ is list and type.kind == types.LIST:
        return _merge_lists(live, config, type)
    return config


def _merge_lists(live: list[Any], config: list[Any], type: Type) -> list[Any]:
    element = type.element or ANY_TYPE
    mine = {item_key(item, type): item for item in live}
    theirs = {item_key(item, type): item for item in config}
    shared = [key for key in theirs if key in mine]
    waiting, result = list(theirs), []

    def take(key: str) -> None:
        result.append(merge(mine[key], theirs[key], element) if key in mine else theirs[key])

    for key, item in mine.items():
        if key not in theirs:
            result.append(item)
        elif shared and key == shared[0]:
            # everything that the configuration puts before this item, then the item
            while waiting:
                first = waiting.pop(0)
                take(first)
                if first == key:
                    break
            shared = [other for other in shared if other in waiting]
        elif key in waiting:
            continue  # the configuration puts other shared items before it: it comes with them
    for key in waiting:
        take(key)
    return result


def remove(value: Any, fields: Fields, type: Type) -> Any:
    """``value`` without the members of ``fields``; ``None`` when nothing is left of it."""
    if not value or type.merge == "atomic":
        return None
    if value.__class__ is dict:
        kept = {key: _rest(item, fields.get(f"f:{key}"), type.child(key) or ANY_TYPE) for key, item in value.items()}
        return {key: item for key, (keep, item) in kept.items() if keep} or None
    if value.__class__ is list:
        element = type.element or ANY_TYPE
        items = [_rest(item, fields.get(item_key(item, type)), element) for item in value]
        return [item for keep, item in items if keep] or None
    return value


def _rest(item: Any, below: Fields | None, type: Type) -> tuple[bool, Any]:
    """(is anything left?, what)."""
    if below is None:
        return True, item
    if not below or SELF in below:
        return False, None
    if item.__class__ is not dict and item.__class__ is not list:
        return True, item
    rest = remove(item, below, type)
    return rest is not None, rest


def mistakes(value: Any, type: Type, path: str = "") -> list[str]:
    """Why a configuration does not fit the schema: ``.spec.foo: field not declared in schema``."""
    if value is None or type.kind in (types.ANY, types.QUANTITY, types.INT_OR_STRING, types.TIME, types.MICRO_TIME):
        return []
    if type.kind in (types.STRUCT, types.MAP):
        return _map_mistakes(value, type, path)
    if type.kind == types.LIST:
        return _list_mistakes(value, type, path)
    if type.kind in _NUMERIC and (isinstance(value, bool) or not isinstance(value, int | float)):
        return [f"{path}: expected numeric (int or float), got {_go_type(value)}"]
    if type.kind in _TEXT and not isinstance(value, str):
        return [f"{path}: expected string, got {_go_value(value)}"]
    if type.kind == types.BOOLEAN and not isinstance(value, bool):
        return [f"{path}: expected boolean, got {_go_value(value)}"]
    return []


def _map_mistakes(value: Any, type: Type, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected map, got {_go_value(value)}"]
    found: list[str] = []
    for key, item in value.items():
        below = type.child(key)
        if below is None:
            found.append(f"{path}.{key}: field not declared in schema")
        else:
            found += mistakes(item, below, f"{path}.{key}")
    return found


def _list_mistakes(value: Any, type: Type, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: expected list, got {_go_value(value)}"]
    found: list[str] = []
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if type.merge in ("set", "map"):
            key = item_key(item, type)
            if key == "k:{}":
                found.append(f"{path}: element {index}: associative list with keys has an element that omits all key "
                             f"fields {_go_list(type.keys)} (and doesn't have default values for any key fields)")
                continue
            where = path + next(paths({key: {}}))
            if key in seen:
                found.append(f"{path}: duplicate entries for key {where.removeprefix(path)}")
            seen.add(key)
        found += mistakes(item, type.element or ANY_TYPE, where)
    return found


def _go_list(names: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"


def _go_type(value: Any) -> str:
    return {str: "string", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}.get(
        value.__class__, "int64")


def _go_value(value: Any) -> str:
    return f"&value.valueUnstructured{{Value:{value!r}}}"
