"""Which operations does each path offer?  The ``paths`` of the OpenAPI documents, made from the resource table.

kubectl looks here whether a PATCH of a kind knows ``dryRun`` and ``fieldValidation`` before it sends them.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/installer.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sampan.api.resources import Resource, Subresource
from sampan.apiserver.discovery import group_version_of

Object = dict[str, Any]
#: From (apiVersion, kind) to a schema that refers to it; None for kinds that have none (options in the query).
Reference = Callable[[str, str], Object | None]

GVK, ACTION = "x-kubernetes-group-version-kind", "x-kubernetes-action"
_JSON = "application/json"
_PATCHES = ("application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
            "application/apply-patch+yaml")
_WRITE = (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
_LIST = (("labelSelector", "string"), ("fieldSelector", "string"), ("limit", "integer"), ("continue", "string"),
         ("resourceVersion", "string"), ("resourceVersionMatch", "string"), ("watch", "boolean"),
         ("allowWatchBookmarks", "boolean"), ("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer"))
_DELETE = (("dryRun", "string"), ("gracePeriodSeconds", "integer"), ("propagationPolicy", "string"))
_QUERY = {"post": _WRITE, "put": _WRITE, "patch": (*_WRITE, ("force", "boolean")), "delete": _DELETE}
_METHOD = {"get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete",
           "deletecollection": "delete"}
_ON_COLLECTION = ("list", "create", "deletecollection")


def paths_of(resource: Resource, refer: Reference, version: int) -> Object:
    """``{path: path item}`` of one resource and its subresources; ``version`` is that of OpenAPI, 2 or 3."""
    writer = _Writer(resource, refer, version)
    base = resource.prefix("{namespace}" if resource.namespaced else None)
    verbs = [verb for verb in resource.verbs if verb in _METHOD]
    found = {base: writer.item([verb for verb in verbs if verb in _ON_COLLECTION], named=False)}
    found[f"{base}/{{name}}"] = writer.item([verb for verb in verbs if verb not in _ON_COLLECTION])
    if resource.namespaced and "list" in verbs:
        found[resource.prefix()] = writer.item(["list"], named=False, across=True)
    for sub in resource.subresources:
        found[f"{base}/{{name}}/{sub.name}"] = writer.item(list(sub.verbs), sub=sub)
    return {path: item for path, item in found.items() if any(method in item for method in _METHOD.values())}


class _Writer:
    def __init__(self, resource: Resource, refer: Reference, version: int) -> None:
        self._resource = resource
        self._refer = refer
        self._version = version

    def item(self, verbs: list[str], *, named: bool = True, across: bool = False,
             sub: Subresource | None = None) -> Object:
        """One path item."""
        made: Object = {_METHOD[verb]: self._operation(verb, sub, across) for verb in verbs if verb in _METHOD}
        in_path = [("namespace", not across and self._resource.namespaced), ("name", named)]
        parameters = [self._parameter(name, "string", "path") for name, present in in_path if present]
        return made | {"parameters": parameters} if parameters else made

    def _operation(self, verb: str, sub: Subresource | None, across: bool) -> Object:
        resource, method = self._resource, _METHOD[verb]
        group, version = group_version_of(resource, sub) if sub else (resource.group, resource.version)
        kind = (sub.kind if sub else "") or resource.kind
        api_version = f"{group}/{version}" if group else version
        operation: Object = {
            "operationId": self._operation_id(verb, sub, across), "tags": [_tag(resource)],
            ACTION: {"get": "get", "list": "list", "create": "post", "update": "put"}.get(verb, verb),
            GVK: {"group": group, "version": version, "kind": kind},
        }
        query = [self._parameter(name, type_, "query") for name, type_ in
                 (_LIST if verb in ("list", "deletecollection") else _QUERY.get(method, ()))]
        answer = self._refer(api_version, f"{kind}List" if verb == "list" else kind)
        if method == "delete":
            answer = self._refer("v1", "Status")
        return operation | self._messages(method, query, self._refer(*_body(method, api_version, kind)), answer)

    def _operation_id(self, verb: str, sub: Subresource | None, across: bool) -> str:
        resource = self._resource
        words = {"get": "read", "update": "replace", "deletecollection": "deleteCollection"}.get(verb, verb)
        scope = "" if across or not resource.namespaced else "Namespaced"
        tail = (sub.name.title() if sub else "") + ("ForAllNamespaces" if across else "")
        return f"{words}{_tag(resource).title().replace('_', '')}{scope}{resource.kind}{tail}"

    def _parameter(self, name: str, type_: str, where: str) -> Object:
        made: Object = {"name": name, "in": where}
        if where == "path":
            made["required"] = True
        return made | ({"schema": {"type": type_}} if self._version == 3 else {"type": type_, "uniqueItems": True})

    def _messages(self, method: str, query: list[Object], body: Object | None, answer: Object | None) -> Object:
        """Parameters, request body and responses in the words of the document's version."""
        code, description = ("201", "Created") if method == "post" else ("200", "OK")
        medias = _PATCHES if method == "patch" else (_JSON, "application/yaml")
        if self._version == 3:
            content = {_JSON: {"schema": answer}} if answer else {}
            made: Object = {"parameters": query, "responses": {code: {"description": description, "content": content}}}
            if body:
                made["requestBody"] = {"content": {media: {"schema": body} for media in medias}}
            return made
        if body:
            query = [*query, {"name": "body", "in": "body", "required": method != "delete", "schema": body}]
        response = {"description": description} | ({"schema": answer} if answer else {})
        return {"consumes": list(medias), "produces": [_JSON, "application/yaml"], "parameters": query,
                "responses": {code: response}}


def _body(method: str, api_version: str, kind: str) -> tuple[str, str]:
    if method == "get":
        return "", ""
    if method == "delete":
        return "v1", "DeleteOptions"
    return ("v1", "Patch") if method == "patch" else (api_version, kind)


def _tag(resource: Resource) -> str:
    group = resource.group.split(".")[0] if resource.group else "core"
    return f"{group}_{resource.version}"


def kinds_of(resource: Resource) -> Iterator[tuple[str, str]]:
    """Every (apiVersion, kind) that the resource's paths may speak of."""
    yield resource.api_version, resource.kind
    yield resource.api_version, resource.list_kind
    for sub in resource.subresources:
        if sub.kind:
            yield sub.api_version or resource.api_version, sub.kind
    yield "v1", "Status"
    yield "v1", "DeleteOptions"
