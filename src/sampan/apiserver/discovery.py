"""Which resources does this server have?  What ``kubectl api-resources`` prints and every client asks first.

The old form has one document per group and version; the aggregated one (KEP-3352) has everything in two, ``/api`` and
``/apis``, for clients that ask with ``Accept: ...;as=APIGroupDiscoveryList``.  Both are made from the resource table.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/discovery``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sampan.api.resources import RESOURCES, Resource, Subresource
from sampan.apiserver.negotiation import parse_accept

Object = dict[str, Any]

AGGREGATED = "APIGroupDiscoveryList"
AGGREGATED_GROUP = "apidiscovery.k8s.io"


def aggregated_version(accept: str) -> str:
    """``v2`` or ``v2beta1`` if the client prefers the aggregated form, else ``""``."""
    for clause in parse_accept(accept):
        if clause.media not in ("application/json", "*/*", "application/*"):
            continue
        transform, version = clause.params.get("as"), clause.params.get("v", "")
        if transform is None:
            return ""
        if transform == AGGREGATED and clause.params.get("g") == AGGREGATED_GROUP and version in ("v2", "v2beta1"):
            return version
    return ""


def group_versions(resources: Iterable[Resource] = RESOURCES) -> dict[str, dict[str, list[Resource]]]:
    """``{group: {version: [resource, ...]}}`` in the table's order."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for resource in resources:
        found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return found


def aggregated(version: str, core: bool) -> Object:
    """The whole of ``/api`` (``core``) or ``/apis``."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {"version": name, "resources": [_aggregated_resource(r) for r in listed], "freshness": "Current"}
                for name, listed in versions.items()
            ],
        }
        for group, versions in group_versions().items() if (group == "") == core
    ]
    return {"kind": AGGREGATED, "apiVersion": f"{AGGREGATED_GROUP}/{version}", "metadata": {}, "items": items}


def _aggregated_resource(resource: Resource) -> Object:
    out: Object = {
        "resource": resource.plural, "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster", "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    if resource.subresources:
        out["subresources"] = [_aggregated_subresource(resource, sub) for sub in resource.subresources]
    return out


def _aggregated_subresource(resource: Resource, sub: Subresource) -> Object:
    group, version = group_version_of(resource, sub)
    return {
        "subresource": sub.name, "responseKind": _kind(group, version, sub.kind or resource.kind),
        "verbs": list(sub.verbs),
    }


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def group_version_of(resource: Resource, sub: Subresource) -> tuple[str, str]:
    """Of the body's type: ``policy``, ``v1`` for ``pods/eviction``."""
    group, _, version = (sub.api_version or resource.api_version).rpartition("/")
    return group, version


def resource_list(group: str, version: str) -> Object | None:
    """``/api/v1`` or ``/apis/GROUP/VERSION``; None for one that is not served."""
    listed = group_versions().get(group, {}).get(version)
    if listed is None:
        return None
    entries: list[Object] = []
    for resource in sorted(listed, key=lambda r: r.plural):
        entries.append(_resource(resource))
        entries += [_subresource(resource, sub) for sub in sorted(resource.subresources, key=lambda s: s.name)]
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}" if group else version,
        "resources": entries,
    }


def _resource(resource: Resource) -> Object:
    out: Object = {
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": list(resource.verbs),
    }
    if resource.short_names:
        out["shortNames"] = list(resource.short_names)
    if resource.categories:
        out["categories"] = list(resource.categories)
    return out


def _subresource(resource: Resource, sub: Subresource) -> Object:
    out: Object = {"name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced}
    if sub.api_version and sub.api_version != resource.api_version:
        out["group"], out["version"] = group_version_of(resource, sub)
    return out | {"kind": sub.kind or resource.kind, "verbs": list(sub.verbs)}


def group(name: str) -> Object | None:
    """``/apis/GROUP``."""
    versions = group_versions().get(name) if name else None
    return None if versions is None else {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: Iterable[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list() -> Object:
    """``/apis``."""
    groups = [_group(name, versions) for name, versions in group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def versions(address: str) -> Object:
    """``/api``."""
    return {
        "kind": "APIVersions", "versions": list(group_versions()[""]),
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }
