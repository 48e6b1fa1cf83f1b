"""``serviceaccounts/token``: a signed token for a ServiceAccount, bound to an object if the caller wants so.

The token dies with what it is bound to: its uid is inside.

Upstream: ``pkg/registry/core/serviceaccount/storage/token.go``; KEP-1205.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sampan.api import clock, meta
from sampan.api.errors import BadRequest, Conflict, FieldError, Invalid, NotFound, ServiceUnavailable
from sampan.api.http import Response
from sampan.api.resources import NODES, PODS, SECRETS, Resource
from sampan.apiserver.admission import base as admission
from sampan.apiserver.body import read_object
from sampan.apiserver.call import Call
from sampan.apiserver.objects import decode
from sampan.apiserver.options import write_options
from sampan.apiserver.respond import object_response

Object = dict[str, Any]

TOKEN_REQUESTS = Resource("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest")
DEFAULT_SECONDS = 3600
MIN_SECONDS = 600
MAX_SECONDS = 1 << 32
_BOUND = {("v1", "Pod"): PODS, ("v1", "Secret"): SECRETS, ("v1", "Node"): NODES}


async def create(call: Call) -> Response:
    """Raises: NotFound, Invalid, Conflict, BadRequest."""
    options = write_options(call.request, "CreateOptions")
    request = read_object(call, options.field_validation, TOKEN_REQUESTS)
    issuer = call.server.issuer
    if issuer is None:
        raise ServiceUnavailable("this server was started without a signing key for service account tokens")
    entry = await call.server.objects.entry(call.resource, call.name, call.namespace)
    account = decode(call.resource, entry)
    metadata = request.setdefault("metadata", {})
    metadata.setdefault("name", call.name)
    if metadata["name"] != call.name:
        raise BadRequest(f"metadata.name: Invalid value: \"{metadata['name']}\": must match the service account name")
    spec = request.setdefault("spec", {})
    spec["audiences"] = spec.get("audiences") or list(call.server.config.api_audiences)
    spec["expirationSeconds"] = spec.get("expirationSeconds", DEFAULT_SECONDS)
    check(spec, call.name)
    attributes = call.attributes("CREATE", request, None, options.as_object(), options.dry_run, call.name)
    await admission.run(call.server.plugins, attributes)  # a kubelet gets tokens of its own pods only
    bound = await bound_object(call, spec.get("boundObjectRef"))
    node = await node_of(call, bound)
    seconds = min(spec["expirationSeconds"], call.server.config.service_account_max_token_seconds)
    now = clock.now()
    token = issuer.issue(
        account, audiences=tuple(spec["audiences"]), expiration_seconds=seconds, bound_object=bound, now=now, node=node
    )
    return object_response(call, answer(request, call, token, clock.rfc3339(now + timedelta(seconds=seconds))), 201)


def check(spec: Object, name: str) -> None:
    """Raises: Invalid."""
    seconds = spec["expirationSeconds"]
    errors = []
    if seconds < MIN_SECONDS:
        errors.append(FieldError.invalid(
            "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MAX_SECONDS:
        errors.append(FieldError.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than "
                                         "2^32 seconds"))
    if errors:
        raise Invalid.of(TOKEN_REQUESTS, name, errors)


async def bound_object(call: Call, reference: Object | None) -> Object | None:
    """What the token is bound to, as it is now. Raises: BadRequest, NotFound, Conflict."""
    if not reference:
        return None
    resource = _BOUND.get((reference.get("apiVersion", ""), reference.get("kind", "")))
    name = reference.get("name", "")
    if resource is None:
        raise BadRequest(f"cannot bind token for serviceaccount {call.name!r} to object of type "
                         f"{reference.get('apiVersion', '')}, Kind={reference.get('kind', '')}")
    found = await call.server.objects.get_object(resource, name, call.namespace if resource.namespaced else None)
    if found is None:
        raise NotFound.of(resource, name)
    uid = reference.get("uid")
    if uid and uid != meta.uid(found):
        raise Conflict.of(resource, name, f"the UID in the bound object reference ({uid}) does not match the UID in "
                          "record. The object might have been deleted and then recreated")
    if resource is PODS and (found["spec"].get("serviceAccountName") or "default") != call.name:
        raise BadRequest(f"cannot bind token for serviceaccount {call.name!r} to pod running with different "
                         f"serviceaccount name.")
    return found


async def node_of(call: Call, bound: Object | None) -> Object | None:
    """The Node that a bound Pod runs on; the token names it, too."""
    name = (bound.get("spec") or {}).get("nodeName") if bound is not None and bound.get("kind") == "Pod" else None
    return await call.server.objects.get_object(NODES, name) if name else None


def answer(request: Object, call: Call, token: str, expires: str) -> Object:
    metadata = {"name": call.name, "namespace": call.namespace, "creationTimestamp": clock.rfc3339(clock.now())}
    return {
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata,
        "spec": request["spec"], "status": {"token": token, "expirationTimestamp": expires},
    }
