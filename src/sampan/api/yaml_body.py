"""YAML as Kubernetes reads it: converted to JSON first, so keys are text and only JSON's types exist.

Imported only when a body is YAML that is not also JSON.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
import yaml

from sampan.api.body import BodyError

#: An alias costs nothing to write and doubles what follows: more values than this are taken for an attack.
MAX_VALUES = 1_000_000


class _Loader(yaml.CSafeLoader):
    """The safe loader, with the implicit types of upstream's parser and no others; twins are told of, not refused."""

    mistakes: list[str]


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", "yes|Yes|YES|no|No|NO|y|Y|n|N|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", "yYnNtTfFoO"),
    ("int", "[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))

_TRUE = {"yes", "y", "true", "on"}


def _construct_bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() in _TRUE


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith(("0b", "0x", "0o")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if len(digits) > 1 and digits.startswith("0") else 10)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float | int:
    number = float(node.value.replace("_", ""))
    return int(number) if number.is_integer() and abs(number) < 2**53 else number  # Go writes 1.0 as 1


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> Any:
    result: dict[str, Any] = {}
    yield result
    seen: set[str] = set()
    for key_node, _ in node.value:
        if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
            if key_node.value in seen:
                line = key_node.start_mark.line + 1
                loader.mistakes.append(f'line {line}: key "{key_node.value}" already set in map')
            seen.add(key_node.value)
    for key, value in _pairs(loader, node):
        result[key] = value


def _key_text(key: Any) -> str:
    """JSON has only text for keys: ``8080: x`` and ``true: x`` become ``"8080"`` and ``"true"``."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float):
        return orjson.dumps(key).decode()
    raise BodyError(f"error converting YAML to JSON: unsupported map key of type: {type(key).__name__}")


def _pairs(loader: _Loader, node: yaml.MappingNode) -> list[tuple[str, Any]]:
    loader.flatten_mapping(node)
    return [(_key_text(loader.construct_object(key, deep=True)), loader.construct_object(value, deep=True))
            for key, value in node.value]


_Loader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def load(data: bytes) -> tuple[Any, list[str]]:
    """One document as JSON values that share nothing, and its mistakes. Raises: BodyError."""
    try:
        loader = _Loader(data)
        loader.mistakes = []
        try:
            node = loader.get_single_node()
            if node is None:
                return None, []
            _bound(node)
            value = loader.construct_document(node)
        finally:
            loader.dispose()
        return orjson.loads(orjson.dumps(value)), _strict(loader.mistakes)
    except (yaml.YAMLError, orjson.JSONEncodeError, ValueError, RecursionError) as error:
        if isinstance(error, BodyError):
            raise
        raise BodyError(f"error converting YAML to JSON: yaml: {_reason(error)}") from None


def _strict(mistakes: list[str]) -> list[str]:
    if not mistakes:
        return []
    return ["error converting YAML to JSON: yaml: unmarshal errors:\n  " + "\n  ".join(mistakes)]


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}: {problem}" if mark else problem


def _bound(root: yaml.Node) -> None:
    """Refuse what would be more than ``MAX_VALUES`` once every alias is written out."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        sizes[id(node)] = MAX_VALUES  # a node inside itself never ends
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        sizes[id(node)] = 1 + sum(map(size, children))
        return sizes[id(node)]

    if size(root) > MAX_VALUES:
        raise BodyError("error converting YAML to JSON: yaml: document contains excessive aliasing")
