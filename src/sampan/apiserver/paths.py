"""Paths that are no resources: discovery, health, version, schemas, metrics, the token issuer's keys.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/routes``.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from sampan.api.errors import MethodNotAllowed
from sampan.api.http import Request, Response
from sampan.apiserver import discovery, health, routes
from sampan.apiserver.negotiation import JSON, negotiate
from sampan.apiserver.respond import dict_response
from sampan.apiserver.version import version

if TYPE_CHECKING:
    from sampan.apiserver.app import ApiServer
    from sampan.apiserver.openapi import Documents

Object = dict[str, Any]

OPENID_CONFIGURATION, OPENID_KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"


class Paths:
    """Answers are made when first asked for; discovery never changes while the server runs."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.health = health.Health()
        self.health.add("etcd", self._check_store)

    async def serve(self, request: Request) -> Response:
        """Raises: MethodNotAllowed."""
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        path = request.path.rstrip("/")
        first = path.strip("/").split("/")[0]
        if first in health.ENDPOINTS:
            return await self.health.serve(request) or routes.not_found()
        if first in ("api", "apis"):
            return self._discovery(request, path.strip("/").split("/"))
        if first == "openapi":
            return await self._schemas.serve(request)
        return self._other(request, path)

    @cached_property
    def _schemas(self) -> Documents:
        from sampan.apiserver.openapi import Documents  # not before somebody asks

        return Documents()

    def _other(self, request: Request, path: str) -> Response:
        if path == "":
            return dict_response(request, {"paths": self._index()})
        if path == "/version":
            return dict_response(request, version())
        if path == "/metrics":
            inflight = self.server.inflight
            text = self.server.metrics.text(inflight.reads, inflight.writes)
            return Response(200, {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}, text.encode())
        if path in (OPENID_CONFIGURATION, OPENID_KEYS):
            return self._openid(path)
        return routes.not_found()

    def _discovery(self, request: Request, parts: list[str]) -> Response:
        accept = request.headers.get("accept", "")
        wanted = discovery.aggregated_version(accept) if len(parts) == 1 else ""
        if wanted:
            media = f"{JSON};g={discovery.AGGREGATED_GROUP};v={wanted};as={discovery.AGGREGATED}"
            body = orjson.dumps(discovery.aggregated(wanted, parts[0] == "api"))
            return tagged(request, body, {"Content-Type": media, "Vary": "Accept"})
        answer = self._plain_discovery(parts)
        if answer is None:
            return routes.not_found()
        response = dict_response(request, answer, 200, negotiate(accept, transforms=False))
        response.headers["Vary"] = "Accept"
        return response

    def _plain_discovery(self, parts: list[str]) -> Object | None:
        match parts:
            case ["api"]:
                config = self.server.config
                return discovery.versions(f"{config.advertise_address}:{config.secure_port}")
            case ["api", name]:
                return discovery.resource_list("", name)
            case ["apis"]:
                return discovery.group_list()
            case ["apis", group]:
                return discovery.group(group)
            case ["apis", group, name]:
                return discovery.resource_list(group, name)
        return None

    def _openid(self, path: str) -> Response:
        from sampan.auth import keys

        config = self.server.config
        if path == OPENID_KEYS:
            public = [keys.load_public(pem) for pem in config.service_account_public_keys]
            return Response(200, {"Content-Type": "application/jwk-set+json"}, orjson.dumps(keys.jwks(public)))
        uri = f"https://{config.advertise_address}:{config.secure_port}{OPENID_KEYS}"
        return Response(200, {"Content-Type": JSON}, orjson.dumps(keys.discovery(config.service_account_issuer, uri)))

    def _index(self) -> list[str]:
        paths = ["/api", "/apis", "/healthz", "/livez", "/readyz", "/metrics", "/openapi/v2", "/openapi/v3", "/version",
                 OPENID_CONFIGURATION, OPENID_KEYS]
        for group, versions in discovery.group_versions().items():
            root = f"/apis/{group}" if group else "/api"
            paths += [root, *(f"{root}/{name}" for name in versions)]
        paths += [f"/{kind}/{name}" for kind in health.ENDPOINTS for name in self.health.checks]
        return sorted(set(paths))

    async def _check_store(self) -> None:
        # any read will do: a store that can't answer raises
        await self.server.objects.store.get("/health")


def tagged(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    """The body with an ETag, or 304 if the client has it already."""
    etag = f'"{hashlib.sha512(body).hexdigest().upper()}"'
    headers = headers | {"ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(304, headers)
    return Response(200, headers, body)
