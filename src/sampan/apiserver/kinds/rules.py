"""Small rules that many kinds share: numbers, enumerations, ports, label selectors, immutable fields.

Upstream: ``pkg/apis/core/validation``, ``apimachinery/pkg/apis/meta/v1/validation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError

IMMUTABLE = "field is immutable"
_SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def non_negative(value: int | None, path: str) -> list[FieldError]:
    if value is None or value >= 0:
        return []
    return [FieldError.invalid(path, value, "must be greater than or equal to 0")]


def positive(value: int | None, path: str) -> list[FieldError]:
    if value is None or value > 0:
        return []
    return [FieldError.invalid(path, value, "must be greater than 0")]


def one_of(value: Any, allowed: Sequence[str], path: str, *, required: bool = False) -> list[FieldError]:
    """An enumeration: absent is fine unless ``required``."""
    if not value:
        return [FieldError.required(path)] if required else []
    return [] if value in allowed else [FieldError.not_supported(path, value, list(allowed))]


def checked(value: str | None, check: names.Check, path: str, *, required: bool = False) -> list[FieldError]:
    """A name: absent is fine unless ``required``."""
    if not value:
        return [FieldError.required(path)] if required else []
    return [FieldError.invalid(path, value, why) for why in check(value)]


def port(value: int | None, path: str) -> list[FieldError]:
    return [FieldError.invalid(path, value or 0, why) for why in names.port_number(value or 0)]


def port_or_name(value: Any, path: str) -> list[FieldError]:
    """An IntOrString that points at a port."""
    if isinstance(value, str):
        return [FieldError.invalid(path, value, why) for why in names.port_name(value)]
    return port(value, path)


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    return [] if new == old else [FieldError.invalid(path, new, IMMUTABLE)]


def label_selector(selector: dict[str, Any] | None, path: str) -> list[FieldError]:
    """A LabelSelector: matchLabels and matchExpressions."""
    from sampan.apiserver.kinds.metadata import validate_labels

    if not selector:
        return []
    errors = validate_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for i, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _requirement(expression, f"{path}.matchExpressions[{i}]")
    return errors


def _requirement(expression: dict[str, Any], path: str) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    errors = []
    if operator not in _SELECTOR_OPERATORS:
        errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif operator in ("In", "NotIn") and not values:
        errors.append(FieldError.required(
            f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        errors.append(FieldError.forbidden(
            f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    errors += [FieldError.invalid(f"{path}.key", expression.get("key", ""), why)
               for why in names.qualified_name(expression.get("key", ""))]
    for i, value in enumerate(values):
        errors += [FieldError.invalid(f"{path}.values[{i}]", value, why) for why in names.label_value(value)]
    return errors
