"""Who answers?  From resource, subresource and verb to the function; modules load when first needed.

Upstream: ``staging/src/k8s.io/apiserver/pkg/endpoints/installer.go``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from importlib import import_module

from sampan.api.errors import MethodNotAllowed
from sampan.api.http import Response
from sampan.api.resources import Resource, by_plural
from sampan.apiserver.call import Call
from sampan.apiserver.request_info import RequestInfo

Verb = Callable[[Call], Awaitable[Response]]

_VERBS = {
    "get": "verbs.get:get", "list": "verbs.list:list_", "watch": "verbs.watch:watch", "create": "verbs.create:create",
    "update": "verbs.update:update", "patch": "verbs.patch:patch", "delete": "verbs.delete:delete",
    "deletecollection": "verbs.deletecollection:deletecollection",
}
#: Subresources that are not the object through another door. ``*`` stands for every verb.
_SUBRESOURCES = {
    ("scale", "get"): "subresources.scale:get", ("scale", "update"): "subresources.scale:update",
    ("scale", "patch"): "subresources.scale:patch",
    ("binding", "create"): "subresources.binding:bind", ("eviction", "create"): "subresources.eviction:evict",
    ("token", "create"): "subresources.token:create",
    ("log", "*"): "verbs.connect:log", ("exec", "*"): "verbs.connect:exec_", ("attach", "*"): "verbs.connect:attach",
    ("portforward", "*"): "verbs.connect:portforward", ("proxy", "*"): "verbs.connect:proxy",
}
_LONG_RUNNING = ("log", "exec", "attach", "portforward", "proxy")


def handler(info: RequestInfo) -> Verb:
    """For a resource of the table. Raises: MethodNotAllowed."""
    found = _handler(
        info.group, info.version, info.resource, info.subresource, info.verb, bool(info.name), bool(info.namespace)
    )
    if found is None:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    return found


@lru_cache(maxsize=1024)
def _handler(
    group: str, version: str, plural: str, subresource: str, verb: str, named: bool, in_namespace: bool
) -> Verb | None:
    # remembered by words: hashing a whole Resource would cost more than all the rest
    resource = by_plural(group, version, plural)
    if resource is None:
        return None
    if not _fits(resource, subresource, verb, named, in_namespace):
        return None
    if not subresource:
        place: str | None = _VERBS[verb]
        if resource.plural == "bindings" and not resource.group:
            place = "subresources.binding:bind"
    else:
        place = _SUBRESOURCES.get((subresource, verb)) or _SUBRESOURCES.get((subresource, "*")) or _VERBS.get(verb)
    module, _, name = (place or "").partition(":")
    function: Verb = getattr(import_module(f"sampan.apiserver.{module}"), name)
    return function


def _fits(resource: Resource, subresource: str, verb: str, named: bool, in_namespace: bool) -> bool:
    """Does the resource offer this verb at a path of this form?"""
    if subresource:
        sub = resource.subresource(subresource)
        return sub is not None and named and verb in sub.verbs
    if verb not in resource.verbs:
        return False
    if verb in ("create", "list", "deletecollection") and named:
        return False
    across = verb in ("list", "watch")
    if resource.namespaced:
        return in_namespace or across
    return not in_namespace or resource.plural == "namespaces"


def long_running(info: RequestInfo) -> bool:
    """Neither counted nor timed."""
    return info.verb == "watch" or info.subresource in _LONG_RUNNING


def not_found() -> Response:
    """As Go's mux: clients know this answer as "no such resource here"."""
    return Response(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
