"""What does a request ask for?  From method, path and ``watch=`` to verb, group, resource, namespace and name.

``/api/v1/namespaces/web/pods/a/log``   -> get pods/log "a" in "web"
``/apis/apps/v1/deployments?watch=1``   -> watch deployments in all namespaces
``/healthz``                            -> a non-resource path; its verb is the lower-case method

The answer depends on nothing else, so it is remembered: parsing costs more than all of authorization.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sampan.api.http import Request

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """``path`` is the whole path; ``rest`` what follows the subresource (``nodes/a/proxy/<rest>``)."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""


def request_info(request: Request) -> RequestInfo:
    """The parsed request; a list with ``fieldSelector=metadata.name=x`` is still a list (its name counts for RBAC)."""
    watching = False
    if request.query:
        watching = request.param("watch").lower() in ("1", "true", "t", "yes") or (
            request.param("watch", "-") == ""
        )
    return parse(request.method, request.path, watching)


def selected_name(request: Request) -> str:
    """The one name that ``fieldSelector=metadata.name=x`` leaves: who may get x may also list and watch just it."""
    for requirement in request.param("fieldSelector").split(",") if request.query else ():
        field, _, value = requirement.partition("=")
        if field == "metadata.name":
            return value.removeprefix("=")
    return ""


@lru_cache(maxsize=16384)
def parse(method: str, path: str, watching: bool = False) -> RequestInfo:
    nonresource = RequestInfo(path, method.lower())
    parts = [part for part in path.strip("/").split("/") if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return nonresource
    group = ""
    if parts[0] == "apis":
        group = parts[1]
        parts = parts[1:]
    version, parts = parts[1], parts[2:]
    if not parts:
        return nonresource
    verb = _VERBS.get(method, "")
    if parts[0] == "watch" and len(parts) > 1:
        verb, parts = "watch", parts[1:]
    namespace, parts = _split_namespace(parts)
    resource, name, subresource = (*parts, "", "", "")[:3]
    return RequestInfo(
        path, _collection_verb(verb, name, watching), True, group, version, resource, subresource, namespace, name,
        "/".join(parts[3:]),
    )


def _split_namespace(parts: list[str]) -> tuple[str, list[str]]:
    """``namespaces/x`` itself is a resource that lies in its own namespace, as upstream sees it."""
    if parts[0] != "namespaces" or len(parts) == 1:
        return "", parts
    if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
        return parts[1], parts[2:]
    return parts[1], parts


def _collection_verb(verb: str, name: str, watching: bool) -> str:
    if verb == "get" and watching:
        return "watch"
    if not name:
        return {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return verb
