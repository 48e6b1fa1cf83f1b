"""pods/{log,exec,attach,portforward} and nodes/proxy: find the kubelet, choose the container, hand the bytes over.

Upstream: ``pkg/registry/core/pod/strategy.go`` (LogLocation, streamLocation), ``pkg/registry/core/node/strategy.go``.
"""

from __future__ import annotations

from typing import Any

from sampan.api import meta
from sampan.api.errors import BadRequest, FieldError, InternalError, Invalid, NotFound
from sampan.api.http import Response
from sampan.api.resources import NODES, Resource
from sampan.apiserver import node_proxy, options
from sampan.apiserver.admission import base as admission
from sampan.apiserver.call import Call
from sampan.apiserver.kubelet_connections import KubeletAddress
from sampan.apiserver.objects import decode

Object = dict[str, Any]
Query = list[tuple[str, str]]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
KUBELET_PORT = 10250
_ADDRESS_TYPES = ("InternalIP", "Hostname", "ExternalIP")
#: The kubelet's names for the streams.
_STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
_LOG_FLAGS = ("follow", "previous", "timestamps")
_LOG_VALUES = ("sinceSeconds", "sinceTime", "tailLines", "limitBytes", "stream")


async def log(call: Call) -> Response:
    """The container's log as plain text; with ``follow`` it goes on. Raises: BadRequest, Invalid, NotFound."""
    query = log_query(call)
    pod = await _pod(call)
    container = container_of(pod, call.request.param("container"))
    if not pod["spec"].get("nodeName"):
        return Response(200, {"Content-Type": "text/plain"})
    address = await kubelet_of(call, pod["spec"]["nodeName"])
    path = f"/containerLogs/{call.namespace}/{call.name}/{container}"
    config = call.server.config
    reply = await node_proxy.send(
        address, config.kubelet_tls, "GET", path, query=query, timeout_seconds=config.kubelet_timeout_seconds,
        spares=call.server.kubelets,
    )
    if reply.status != 200:
        raise await node_proxy.refusal(reply)
    return Response(200, {"Content-Type": "text/plain"}, reply.body())


def log_query(call: Call) -> Query:
    """The kubelet's form of ``PodLogOptions``, checked. Raises: Invalid, BadRequest."""
    request, errors, query = call.request, [], []
    for name in _LOG_FLAGS:
        if options.boolean(request.param(name)):
            query.append((name, "true"))
    for name in _LOG_VALUES:
        if value := request.param(name):
            query.append((name, value))
    for name, least in (("tailLines", 0), ("sinceSeconds", 1), ("limitBytes", 1)):
        number = options.integer(name, request.param(name))
        if number is not None and number < least:
            errors.append(FieldError.invalid(
                name, number, f"must be greater than {'or equal to ' if not least else ''}0"))
    if request.param("sinceSeconds") and request.param("sinceTime"):
        errors.append(FieldError.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if errors:
        raise Invalid.of(Resource("", "v1", "pods", "PodLogOptions"), call.name, errors)
    return query


async def exec_(call: Call) -> Response:
    """Another program in the container. Raises: BadRequest, NotFound."""
    if not call.request.param("command"):
        raise BadRequest("you must specify at least 1 command")
    pod = await _pod(call)
    container = container_of(pod, call.request.param("container"))
    query = stream_query(call.request.query)
    query += [("command", value) for key, value in call.request.query if key == "command"]
    return await _stream(call, pod, f"/exec/{call.namespace}/{call.name}/{container}", query)


async def attach(call: Call) -> Response:
    """The streams of the container's main process. Raises: BadRequest, NotFound."""
    pod = await _pod(call)
    container = container_of(pod, call.request.param("container"))
    path = f"/attach/{call.namespace}/{call.name}/{container}"
    return await _stream(call, pod, path, stream_query(call.request.query))


async def portforward(call: Call) -> Response:
    """Connections into the Pod's network namespace. Raises: BadRequest, NotFound."""
    pod = await _pod(call)
    # a WebSocket client names its ports in the query, a SPDY client in each stream's headers
    query = [(key, port) for key, value in call.request.query if key == "ports" for port in value.split(",")]
    return await _stream(call, pod, f"/portForward/{call.namespace}/{call.name}", [("port", port) for _, port in query])


async def proxy(call: Call) -> Response:
    """Any path of the kubelet, as the API server's own client. ``nodes/NAME[:PORT]/proxy/...``"""
    name, _, port = call.name.removeprefix("https:").partition(":")
    address = await kubelet_of(call, name)
    if port:
        address = KubeletAddress(address.host, options.integer("port", port) or KUBELET_PORT)
    return await _forward(call, address, f"/{call.info.rest}", call.request.query)


async def _pod(call: Call) -> Object:
    """Raises: NotFound."""
    return decode(call.resource, await call.server.objects.entry(call.resource, call.name, call.namespace))


def container_of(pod: Object, asked: str) -> str:
    """The container meant: the one asked for, the only one, or the one the annotation names. Raises: BadRequest."""
    name, spec = meta.name(pod), pod["spec"]
    names, init = _names(spec, "containers"), _names(spec, "initContainers")
    everything = names + init + _names(spec, "ephemeralContainers")
    asked = asked or (names[0] if len(names) == 1 else "")
    annotated = meta.annotations(pod).get(DEFAULT_CONTAINER, "")
    if not asked and annotated in everything:
        asked = annotated
    if not asked:
        text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        raise BadRequest(text + (f" or one of the init containers: [{' '.join(init)}]" if init else ""))
    if asked not in everything:
        raise BadRequest(f"container {asked} is not valid for pod {name}")
    return asked


def _names(spec: Object, field: str) -> list[str]:
    return [container["name"] for container in spec.get(field) or ()]


def stream_query(query: Query) -> Query:
    """``stdin=true`` and its like in the kubelet's words."""
    given = dict(query)
    return [(theirs, "1") for ours, theirs in _STREAMS if options.boolean(given.get(ours, ""))]


async def _stream(call: Call, pod: Object, path: str, query: Query) -> Response:
    """Raises: BadRequest, ApiError."""
    node = pod["spec"].get("nodeName")
    if not node:
        raise BadRequest(f"pod {call.name} does not have a host assigned")
    attributes = call.attributes("CONNECT", dict(call.request.query), pod, {}, False)
    await admission.run(call.server.plugins, attributes)
    if not node_proxy.wants_upgrade(call.request.headers):
        raise BadRequest("Upgrade request required")
    return await _forward(call, await kubelet_of(call, node), path, query)


async def _forward(call: Call, address: KubeletAddress, path: str, query: Query) -> Response:
    request, config = call.request, call.server.config
    upgrading = node_proxy.wants_upgrade(request.headers)
    reply = await node_proxy.send(
        address, config.kubelet_tls, request.method, path, query=query, body=request.body,
        headers=node_proxy.forwarded(request.headers, upgrade=upgrading),
        timeout_seconds=config.kubelet_timeout_seconds, spares=call.server.kubelets,
    )
    if reply.status == 101:
        return node_proxy.switched(reply)
    if upgrading:
        raise await node_proxy.refusal(reply)
    headers = {"Content-Type": reply.headers.get("content-type", "text/plain")}
    return Response(reply.status, headers, reply.body())


async def kubelet_of(call: Call, name: str) -> KubeletAddress:
    """Where the node's kubelet listens, by its status. Raises: NotFound, InternalError."""
    node = await call.server.objects.get_object(NODES, name)
    if node is None:
        raise NotFound.of(NODES, name)
    status = node.get("status") or {}
    endpoint = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0)
    by_type = {address["type"]: address["address"] for address in status.get("addresses") or ()}
    for kind in _ADDRESS_TYPES:
        if kind in by_type:
            return KubeletAddress(by_type[kind], endpoint or KUBELET_PORT)
    raise InternalError(f"no preferred addresses found for node {name}; known addresses: []")
