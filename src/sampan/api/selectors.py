"""Selectors: the small languages that pick objects by their labels and by some of their fields.

A label selector comes as text (``app=web,tier in (a,b),!canary``) or as a ``LabelSelector`` object inside a spec; a
field selector is text only (``spec.nodeName=n1,status.phase!=Failed``).  Both become values with ``matches``.

Upstream: apimachinery/pkg/labels, pkg/fields, pkg/apis/meta/v1/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError, aggregate, quote

BINARY_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
OPERATORS = (*BINARY_OPERATORS, "exists", "!")
_OF_OBJECT = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
_SIGNS = {"=": "=", "==": "==", "!=": "!=", "gt": ">", "lt": "<"}


class SelectorError(ValueError):
    """The selector can't be understood; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. ``operator`` is one of ``OPERATORS``; ``values`` are sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        have = labels.get(self.key)
        operator = self.operator
        if operator in ("=", "==", "in"):
            return have is not None and have in self.values
        if operator in ("!=", "notin"):
            return have is None or have not in self.values
        if operator == "exists":
            return have is not None
        if operator == "!":
            return have is None
        return have is not None and self._compares(have)

    def _compares(self, have: str) -> bool:
        try:
            left, right = int(have), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right

    def __str__(self) -> str:
        if self.operator in ("exists", "!"):
            return f"{'!' if self.operator == '!' else ''}{self.key}"
        joined = ",".join(self.values)
        if self.operator in ("in", "notin"):
            return f"{self.key} {self.operator} ({joined})"
        return f"{self.key}{_SIGNS[self.operator]}{joined}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold. ``nothing`` is the selector that an absent ``LabelSelector`` object stands for."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Selects everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def requirement(key: str, operator: str, values: Iterable[str], path: str = "") -> Requirement:
    """A checked requirement. Raises: SelectorError."""
    listed = list(values)
    errors = _key_errors(key, f"{path}.key" if path else "key")
    errors += _count_errors(operator, listed, f"{path}.values" if path else "values")
    for value in listed:
        if messages := names.label_value(value):
            where = f"{path}.values[{listed.index(value)}]" if path else f"values[{listed.index(value)}]"
            errors.append(FieldError.invalid(f"{where}[{key}]", value, "; ".join(messages)))
    if errors:
        raise SelectorError(aggregate(errors))
    return Requirement(key, operator, tuple(sorted(set(listed))))


def _key_errors(key: str, path: str) -> list[FieldError]:
    messages = names.qualified_name(key)
    return [FieldError.invalid(path, key, "; ".join(messages))] if messages else []


def _count_errors(operator: str, values: list[str], path: str) -> list[FieldError]:
    if operator in ("in", "notin"):
        why = "" if values else "for 'in', 'notin' operators, values set can't be empty"
    elif operator in ("=", "==", "!="):
        why = "" if len(values) == 1 else "exact-match compatibility requires one single value"
    elif operator in ("exists", "!"):
        why = "" if not values else "values set must be empty for exists and does not exist"
    elif operator in ("gt", "lt"):
        why = "" if len(values) == 1 else "for 'Gt', 'Lt' operators, exactly one value is required"
        if not why and not values[0].lstrip("+-").isdigit():
            return [FieldError.invalid(f"{path}[0]", values[0],
                                       "for 'Gt', 'Lt' operators, the value must be an integer")]
    else:
        return [FieldError.not_supported(path.removesuffix("values") + "operator", operator, OPERATORS)]
    return [FieldError.invalid(path, values, why)] if why else []


def parse_label_selector(text: str) -> LabelSelector:
    """Reads ``app=web,tier in (a,b),!canary``; the empty text selects everything. Raises: SelectorError."""
    if not text.strip():
        return EVERYTHING
    from sampan.api.selector_parser import parse  # few processes ever parse one

    found = parse(text)
    return LabelSelector(tuple(sorted(found, key=lambda r: r.key)))


def from_labels(labels: Mapping[str, str]) -> LabelSelector:
    """The selector of a map, as in ``Service.spec.selector``: every pair must be there. An empty map: everything."""
    return LabelSelector(tuple(Requirement(key, "=", (labels[key],)) for key in sorted(labels)))


def from_label_selector(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Reads a ``LabelSelector`` object: ``None`` selects nothing, ``{}`` everything. Raises: SelectorError."""
    if selector is None:
        return NOTHING
    found = [requirement(key, "=", [value]) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        operator = expression.get("operator", "")
        if operator not in _OF_OBJECT:
            raise SelectorError(f"{quote(operator)} is not a valid label selector operator")
        found.append(requirement(expression.get("key", ""), _OF_OBJECT[operator], expression.get("values") or ()))
    return LabelSelector(tuple(sorted(found, key=lambda r: r.key)))


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """``field=value`` or, when ``negated``, ``field!=value``."""

    field: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'!=' if self.negated else '='}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold. A field that the object does not have counts as the empty text."""

    requirements: tuple[FieldRequirement, ...] = field(default=())

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(r.field, "") == r.value) != r.negated for r in self.requirements)

    def exact(self, name: str) -> str | None:
        """The one value that field ``name`` must have, if the selector says so: lets a caller read less."""
        return next((r.value for r in self.requirements if r.field == name and not r.negated), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def parse_field_selector(text: str) -> FieldSelector:
    """Reads ``spec.nodeName=n1,status.phase!=Failed``; ``\\`` escapes ``,`` ``=`` and itself. Raises: SelectorError."""
    terms = sorted(term for term in _split_terms(text) if term)
    return FieldSelector(tuple(_field_requirement(term, text) for term in terms))


def _split_terms(text: str) -> list[str]:
    """Split at the commas that no backslash escapes."""
    terms, escaped = [""], False
    for char in text:
        if char == "," and not escaped:
            terms.append("")
            continue
        terms[-1] += char
        escaped = char == "\\" and not escaped
    return terms


def _field_requirement(term: str, whole: str) -> FieldRequirement:
    for index in range(len(term)):
        for operator in ("!=", "==", "="):
            if term.startswith(operator, index):
                value = _unescape(term[index + len(operator):])
                return FieldRequirement(term[:index], value, operator == "!=")
    raise SelectorError(f"invalid selector: '{whole}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    plain, escaped = "", False
    for char in value:
        if escaped and char not in "\\,=":
            raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
        if not escaped and char in ",=":
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(char)}")
        if escaped or char != "\\":
            plain += char
        escaped = char == "\\" and not escaped
    if escaped:
        raise SelectorError("invalid field selector: invalid escape sequence: \\")
    return plain
