"""What do objects look like?  The OpenAPI documents behind ``kubectl explain`` and client-side validation.

Version 2 is one document, which kubectl up to 1.28 wants as protobuf; version 3 has one for each group and version,
found through an index whose URLs carry a hash, so that clients may keep what they have.  Documents are made when first
asked for, in a thread, and kept compressed: most clients ask for gzip anyway.

Upstream: ``k8s.io/kube-openapi/pkg/handler``, ``handler3``.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from sampan.api import schema
from sampan.api.errors import NotAcceptable
from sampan.api.http import Request, Response
from sampan.api.resources import RESOURCES, Resource
from sampan.apiserver.discovery import group_versions
from sampan.apiserver.negotiation import JSON, parse_accept
from sampan.apiserver.openapi_paths import kinds_of, paths_of
from sampan.apiserver.respond import dict_response
from sampan.apiserver.routes import not_found
from sampan.apiserver.version import version

Object = dict[str, Any]

PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
#: What comes back is called so: the name that is asked for is no valid media type, and newer clients check.
PROTOBUF_V2_ANSWER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
_YEAR_SECONDS = 365 * 24 * 3600

class Documents:
    """The documents of one server, compressed, as far as they have been asked for."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}
        self._making = asyncio.Lock()

    async def serve(self, request: Request) -> Response:
        """``/openapi/v2``, ``/openapi/v3`` and ``/openapi/v3/GROUP/VERSION``. Raises: NotAcceptable."""
        path = request.path.strip("/").removeprefix("openapi/")
        if path == "v2":
            return await self._v2(request)
        if path == "v3":
            return dict_response(request, {"paths": index()})
        name = path.removeprefix("v3/")
        resources = resources_of(name)
        if not path.startswith("v3/") or not resources:
            return not_found()
        return await self._v3(request, name, resources)

    async def _v2(self, request: Request) -> Response:
        tag = digest(RESOURCES)
        if wants_protobuf(request.headers.get("accept", "")):
            from sampan.apiserver.openapi_protobuf import encode

            headers = {"Content-Type": PROTOBUF_V2_ANSWER, "Vary": "Accept"}
            return await self._answer(request, "v2.pb", tag, headers, lambda: encode(document_v2()))
        _check_json(request)
        headers = {"Content-Type": JSON, "Vary": "Accept"}
        return await self._answer(request, "v2", tag, headers, lambda: orjson.dumps(document_v2()))

    async def _v3(self, request: Request, name: str, resources: Sequence[Resource]) -> Response:
        wanted, asked = digest(resources), request.param("hash")
        if asked and asked != wanted:
            return Response(301, {"Location": f"/openapi/v3/{name}?hash={wanted}"})
        _check_json(request)
        headers = {"Content-Type": JSON, "Vary": "Accept"}
        if asked:
            headers["Cache-Control"] = f"public, max-age={_YEAR_SECONDS}, immutable"
        return await self._answer(request, f"v3/{name}", wanted, headers, lambda: orjson.dumps(document_v3(resources)))

    async def _answer(
        self, request: Request, key: str, tag: str, headers: dict[str, str], make: Callable[[], bytes]
    ) -> Response:
        headers = headers | {"ETag": f'"{tag}"'}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(304, headers)
        async with self._making:  # two clients that start together wait for one document
            if key not in self._made:
                self._made[key] = await asyncio.to_thread(lambda: gzip.compress(make(), 5, mtime=0))
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(200, headers | {"Content-Encoding": "gzip"}, self._made[key])
        return Response(200, headers, await asyncio.to_thread(gzip.decompress, self._made[key]))


def wants_protobuf(accept: str) -> bool:
    """Does protobuf stand before JSON?"""
    medias = [clause.media for clause in parse_accept(accept)]
    return PROTOBUF_V2 in medias and not {JSON, "*/*"} & set(medias[:medias.index(PROTOBUF_V2)])


def _check_json(request: Request) -> None:
    accept = request.headers.get("accept", "")
    if accept and not any(c.media in (JSON, "*/*", "application/*") for c in parse_accept(accept)):
        raise NotAcceptable(f"only the following media types are accepted: {JSON}")


def index() -> Object:
    """The group versions and where their documents are."""
    return {
        name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest(listed)}"}
        for group, versions in group_versions().items()
        for name, listed in ((_document_name(group, v), resources) for v, resources in versions.items())
    }


def _document_name(group: str, version_: str) -> str:
    return f"apis/{group}/{version_}" if group else f"api/{version_}"


def resources_of(name: str) -> list[Resource]:
    return [resource for resource in RESOURCES if _document_name(resource.group, resource.version) == name]


def digest(resources: Sequence[Resource]) -> str:
    """Changes whenever the documents may: they are made of the resource table and the schema of one version."""
    told = f"{version()['gitVersion']} {version()['gitCommit']} {list(resources)!r}"
    return hashlib.sha512(told.encode()).hexdigest().upper()


def document_v3(resources: Sequence[Resource]) -> Object:
    """The document of one group and version."""
    refer = _Referrer("#/components/schemas/")
    paths: Object = {}
    for resource in resources:
        paths |= paths_of(resource, refer, 3)
    return {"openapi": "3.0.0", "info": _info(), "paths": paths, "components": {"schemas": _schemas(resources, 3)}}


def document_v2() -> Object:
    """The document of everything."""
    refer = _Referrer("#/definitions/")
    paths: Object = {}
    for resource in RESOURCES:
        paths |= paths_of(resource, refer, 2)
    return {"swagger": "2.0", "info": _info(), "paths": paths, "definitions": _schemas(RESOURCES, 2)}


def _info() -> Object:
    return {"title": "Kubernetes", "version": version()["gitVersion"]}


def _schemas(resources: Sequence[Resource], document_version: int) -> Object:
    loaded = schema.load()
    names = {loaded.definition_name(*kind) for resource in resources for kind in kinds_of(resource)}
    found = loaded.definitions((name for name in names if name), version=document_version)
    found.setdefault(_PATCH, {"type": "object", "description": "Patch is provided to give a concrete name and type to "
                              "the Kubernetes PATCH request body."})
    return found


class _Referrer:
    """Kinds to references."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __call__(self, api_version: str, kind: str) -> Object | None:
        if kind == "Patch":
            return {"$ref": self._prefix + _PATCH}
        name = schema.load().definition_name(api_version, kind)
        return {"$ref": self._prefix + name} if name else None
