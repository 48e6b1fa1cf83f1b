"""ClusterRoles that are made of others: ``aggregationRule`` selects roles by label, their rules are put together.

Pure; a controller calls ``aggregated_rules`` for every such role and writes what differs.
Upstream: ``pkg/controller/clusterroleaggregation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.api.meta import labels, name
from sampan.api.selectors import from_label_selector

Object = dict[str, Any]


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Object] | None:
    """The rules that ``role`` should have, each once, in the order of the roles' names; None: it aggregates nothing."""
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if not selectors:
        return None
    parsed = [from_label_selector(selector) for selector in selectors]
    rules: list[Object] = []
    for other in sorted(roles, key=name):
        if name(other) != name(role) and any(s.matches(labels(other)) for s in parsed):
            rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
