"""Requests and limits of a container, and the names of resources.

Upstream: ``ValidateContainerResourceRequirements``, ``ValidateResourceQuantityValue``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names, quantity
from sampan.api.errors import FieldError

Object = dict[str, Any]
_CONTAINER_RESOURCES = ("cpu", "memory", "ephemeral-storage")
NOT_INTEGER = "must be an integer"


def quantity_problems(value: Any, path: str) -> list[FieldError]:
    """A quantity that is well-formed and not negative."""
    try:
        parsed = quantity.parse(value)
    except ValueError:
        return [FieldError.invalid(path, value, "quantities must match the regular expression "
                                   "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    return [] if parsed >= 0 else [FieldError.invalid(path, value, "must be greater than or equal to 0")]


def validate_resources(resources: Object, path: str) -> list[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    errors = _amounts(limits, f"{path}.limits")
    for name, value in requests.items():
        at = f"{path}.requests[{name}]"
        problems = _amount(name, value, at, f"{path}.requests")
        errors += problems
        if not problems and name in limits and not quantity_problems(limits[name], ""):
            errors += _within(name, value, limits[name], f"{path}.requests")
        elif not problems and name not in limits and not may_overcommit(name):
            errors.append(FieldError.required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    return errors


def may_overcommit(name: str) -> bool:
    """Native resources but huge pages may have requests below their limits."""
    return (name in _CONTAINER_RESOURCES or "kubernetes.io/" in name) and not name.startswith("hugepages-")


def _amounts(amounts: Object, path: str) -> list[FieldError]:
    return [error for name, value in amounts.items() for error in _amount(name, value, f"{path}[{name}]", path)]


def _amount(name: str, value: Any, path: str, parent: str) -> list[FieldError]:
    errors = _name(name, parent) + quantity_problems(value, path)
    if not errors and not may_overcommit(name) and not name.startswith("hugepages-") \
            and quantity.milli(quantity.parse(value)) % 1000:
        errors.append(FieldError.invalid(path, value, NOT_INTEGER))
    return errors


def _name(name: str, path: str) -> list[FieldError]:
    errors = [FieldError.invalid(path, name, why) for why in names.qualified_name(name)]
    if errors or "/" in name or name in _CONTAINER_RESOURCES or name.startswith("hugepages-"):
        return errors
    return [FieldError.invalid(path, name, "must be a standard resource type or fully qualified"),
            FieldError.invalid(path, name, "must be a standard resource for containers")]


def _within(name: str, request: Any, limit: Any, path: str) -> list[FieldError]:
    asked, most = quantity.parse(request), quantity.parse(limit)
    shown = quantity.canonical(most)
    if may_overcommit(name):
        if asked <= most:
            return []
        return [FieldError.invalid(path, str(request), f"must be less than or equal to {name} limit of {shown}")]
    if asked == most:
        return []
    return [FieldError.invalid(path, str(request), f"must be equal to {name} limit of {shown}")]
