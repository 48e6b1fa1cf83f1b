"""The notation that the bootstrap roles are written in: words separated by blanks, ``core`` for the core group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sampan.api.resources import RBAC_GROUP

Object = dict[str, Any]
BOOTSTRAP_LABEL = "kubernetes.io/bootstrapping"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


def rule(verbs: str, groups: str, resources: str, names: str = "") -> Object:
    made: Object = {"verbs": verbs.split(), "apiGroups": ["" if g == "core" else g for g in groups.split()],
                    "resources": resources.split()}
    return made | ({"resourceNames": names.split()} if names else {})


def urls(verbs: str, paths: str) -> Object:
    return {"verbs": verbs.split(), "nonResourceURLs": paths.split()}


def cluster_role(name: str, rules: list[Object], *, aggregate: str = "", labels: Mapping[str, str] | None = None,
                 kind: str = "ClusterRole", namespace: str = "") -> Object:
    """A role marked as ours. ``aggregate="edit"``: it is made of the roles labelled ``aggregate-to-edit``."""
    metadata: Object = {"name": name, "labels": {BOOTSTRAP_LABEL: "rbac-defaults", **(labels or {})},
                        "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    role: Object = {"apiVersion": f"{RBAC_GROUP}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    if aggregate:
        selector = {"matchLabels": {f"{RBAC_GROUP}/aggregate-to-{aggregate}": "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    return role


def subject(kind: str, name: str, namespace: str = "") -> Object:
    if kind == "ServiceAccount":
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"apiGroup": RBAC_GROUP, "kind": kind, "name": name}
