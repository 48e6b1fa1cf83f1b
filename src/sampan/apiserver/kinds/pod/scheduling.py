"""What a Pod asks of the node it lands on: tolerations, affinity, spreading.

Upstream: ``ValidateTolerations``, ``validateAffinity``, ``validateTopologySpreadConstraints``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import names
from sampan.api.errors import FieldError
from sampan.apiserver.kinds.rules import checked, label_selector, one_of

Object = dict[str, Any]
_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def validate_tolerations(tolerations: list[Object], path: str) -> list[FieldError]:
    return [error for i, each in enumerate(tolerations) for error in _toleration(each, f"{path}[{i}]")]


def _toleration(toleration: Object, path: str) -> list[FieldError]:
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    errors = checked(key, names.qualified_name, f"{path}.key")
    if not key and operator != "Exists":
        errors.append(FieldError.invalid(
            f"{path}.operator", operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"'))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        errors.append(FieldError.invalid(
            f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("", "Equal"):
        errors += [FieldError.invalid(f"{path}.operator", value, why) for why in names.label_value(value)]
    elif operator == "Exists":
        if value:
            errors.append(FieldError.invalid(f"{path}.operator", toleration,
                                             "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(FieldError.not_supported(f"{path}.operator", operator, ["Equal", "Exists"]))
    return errors + one_of(effect, _EFFECTS, f"{path}.effect")


def validate_affinity(affinity: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if affinity.get("nodeAffinity"):
        errors += _node_affinity(affinity["nodeAffinity"], f"{path}.nodeAffinity")
    for key in ("podAffinity", "podAntiAffinity"):
        if affinity.get(key):
            errors += _pod_affinity(affinity[key], f"{path}.{key}")
    return errors


def _node_affinity(affinity: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        at = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
        terms = required.get("nodeSelectorTerms") or []
        if not terms:
            errors.append(FieldError.required(at, "must have at least one node selector term"))
        for i, term in enumerate(terms):
            errors += _node_term(term, f"{at}[{i}]")
    for i, each in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
        errors += _weight(each, at) + _node_term(each.get("preference") or {}, f"{at}.preference")
    return errors


def _node_term(term: Object, path: str) -> list[FieldError]:
    errors = []
    for i, expression in enumerate(term.get("matchExpressions") or ()):
        errors += _node_requirement(expression, f"{path}.matchExpressions[{i}]")
    for i, expression in enumerate(term.get("matchFields") or ()):
        at = f"{path}.matchFields[{i}]"
        if expression.get("key") != "metadata.name":
            errors.append(FieldError.invalid(f"{at}.key", expression.get("key", ""),
                                             "not a valid field selector key"))
        if expression.get("operator") not in ("In", "NotIn"):
            errors.append(FieldError.invalid(f"{at}.operator", expression.get("operator", ""),
                                             "not a valid selector operator"))
        elif len(expression.get("values") or ()) != 1:
            errors.append(FieldError.required(
                f"{at}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
    return errors


def _node_requirement(expression: Object, path: str) -> list[FieldError]:
    operator, values = expression.get("operator") or "", expression.get("values") or []
    errors = []
    if operator not in _NODE_OPERATORS:
        errors.append(FieldError.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif operator in ("In", "NotIn") and not values:
        errors.append(FieldError.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        errors.append(FieldError.forbidden(
            f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt") and len(values) != 1:
        errors.append(FieldError.required(
            f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    return errors + [FieldError.invalid(f"{path}.key", expression.get("key", ""), why)
                     for why in names.qualified_name(expression.get("key", ""))]


def _pod_affinity(affinity: Object, path: str) -> list[FieldError]:
    errors = []
    for i, term in enumerate(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
        errors += _pod_term(term, f"{path}.requiredDuringSchedulingIgnoredDuringExecution[{i}]")
    for i, each in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        at = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{i}]"
        errors += _weight(each, at) + _pod_term(each.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return errors


def _pod_term(term: Object, path: str) -> list[FieldError]:
    errors = label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        errors += [FieldError.invalid(f"{path}.namespace", namespace, why) for why in names.dns_label(namespace)]
    if not term.get("topologyKey"):
        return [*errors, FieldError.required(f"{path}.topologyKey", "can not be empty")]
    return errors + checked(term["topologyKey"], names.qualified_name, f"{path}.topologyKey")


def _weight(preference: Object, path: str) -> list[FieldError]:
    weight = preference.get("weight", 0)
    return [] if 1 <= weight <= 100 else [FieldError.invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def validate_spreading(constraints: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(constraints):
        at, key, when = f"{path}[{i}]", constraint.get("topologyKey") or "", constraint.get("whenUnsatisfiable") or ""
        if constraint.get("maxSkew", 0) <= 0:
            errors.append(FieldError.invalid(
                f"{at}.maxSkew", constraint.get("maxSkew", 0), "must be greater than zero"))
        if key:
            errors += checked(key, names.qualified_name, f"{at}.topologyKey")
        else:
            errors.append(FieldError.required(f"{at}.topologyKey", "can not be empty"))
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            errors.append(FieldError.not_supported(
                f"{at}.whenUnsatisfiable", when, ["DoNotSchedule", "ScheduleAnyway"]))
        if (key, when) in seen:
            errors.append(FieldError.duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}"))
        seen.add((key, when))
        errors += _min_domains(constraint, f"{at}.minDomains") + label_selector(
            constraint.get("labelSelector"), f"{at}.labelSelector")
    return errors


def _min_domains(constraint: Object, path: str) -> list[FieldError]:
    value = constraint.get("minDomains")
    if value is None:
        return []
    if value <= 0:
        return [FieldError.invalid(path, value, "must be greater than zero")]
    if constraint.get("whenUnsatisfiable") != "DoNotSchedule":
        return [FieldError.invalid(path, value, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
                                   f"{constraint.get('whenUnsatisfiable', '')}")]
    return []
