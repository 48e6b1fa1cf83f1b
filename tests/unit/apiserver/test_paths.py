"""Discovery, health, version and schemas."""

from __future__ import annotations

import gzip
from typing import Any

import orjson

from sampan.apiserver.openapi_protobuf import encode
from tests.unit.apiserver.conftest import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_version(api: Api) -> None:
    answer = (await api.get("/version")).json
    assert (answer["major"], answer["minor"], answer["gitVersion"]) == ("1", "37", "v1.37.0")


async def test_legacy_discovery(api: Api) -> None:
    assert (await api.get("/api")).json["versions"] == ["v1"]
    groups = (await api.get("/apis")).json["groups"]
    assert {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}} in groups
    assert (await api.get("/apis/apps")).json["name"] == "apps"
    listed = {r["name"]: r for r in (await api.get("/api/v1")).json["resources"]}
    assert listed["pods"]["shortNames"] == ["po"]
    assert listed["pods/eviction"] == {"name": "pods/eviction", "singularName": "", "namespaced": True,
                                       "group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]}
    assert listed["pods/log"]["kind"] == "Pod"
    scale = {r["name"]: r for r in (await api.get("/apis/apps/v1")).json["resources"]}["deployments/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    assert (await api.get("/apis/nope")).status == 404


async def test_aggregated_discovery(api: Api) -> None:
    answer = await api.get("/api", accept=f"{AGGREGATED},application/json")
    assert answer.headers["Content-Type"] == AGGREGATED
    document = answer.json
    assert (document["kind"], document["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    pods = next(r for r in document["items"][0]["versions"][0]["resources"] if r["resource"] == "pods")
    assert pods["scope"] == "Namespaced"
    assert {"subresource": "eviction", "responseKind": {"group": "policy", "version": "v1", "kind": "Eviction"},
            "verbs": ["create"]} in pods["subresources"]
    again = await api.get("/api", accept=AGGREGATED, if_none_match=answer.headers["ETag"])
    assert again.status == 304
    old = await api.get("/apis", accept=AGGREGATED.replace("v=v2", "v=v2beta1"))
    assert old.json["apiVersion"] == "apidiscovery.k8s.io/v2beta1"
    assert "apps" in [item["metadata"].get("name") for item in old.json["items"]]


async def test_health(api: Api) -> None:
    assert (await api.get("/livez")).body == b"ok"
    verbose = (await api.get("/readyz?verbose")).body.decode()
    assert verbose == "[+]ping ok\n[+]etcd ok\nreadyz check passed\n"
    assert (await api.get("/readyz/etcd")).body == b"ok"
    assert (await api.get("/readyz/nope")).status == 404
    await api.store.close()
    failed = await api.get("/readyz")
    assert failed.status == 500
    assert "[-]etcd failed" in failed.body.decode()


async def test_openapi_v3(api: Api) -> None:
    index = (await api.get("/openapi/v3")).json["paths"]
    path = index["apis/apps/v1"]["serverRelativeURL"]
    answer = await api.get(path)
    assert answer.headers["Cache-Control"].endswith("immutable")
    document = answer.json
    deployment = document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]
    assert deployment["x-kubernetes-group-version-kind"] == [{"group": "apps", "kind": "Deployment", "version": "v1"}]
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert {"fieldValidation", "dryRun"} <= {parameter["name"] for parameter in patch["parameters"]}
    assert (await api.get(path, if_none_match=answer.headers["ETag"])).status == 304
    packed = await api.get(path, accept_encoding="gzip")
    assert orjson.loads(gzip.decompress(packed.body)) == document
    moved = await api.get("/openapi/v3/apis/apps/v1?hash=OLD")
    assert (moved.status, moved.headers["Location"]) == (301, path)
    assert (await api.get("/openapi/v3/apis/nope/v1")).status == 404


async def test_openapi_v2(api: Api) -> None:
    document = (await api.get("/openapi/v2")).json
    assert document["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in document["definitions"]
    references = set(_references(document))
    assert {name.removeprefix("#/definitions/") for name in references} <= set(document["definitions"])
    asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    packed = await api.get("/openapi/v2", accept=asked)
    assert packed.headers["Content-Type"] == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert packed.body.startswith(b"\x0a\x032.0")


def _references(value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def test_the_protobuf_of_a_small_document() -> None:
    document = {"swagger": "2.0", "definitions": {"A": {"type": "object", "x-k": 1}}}
    schema = b"\xb2\x01\x08\x0a\x06object" + b"\xfa\x01\x0a\x0a\x03x-k\x12\x03\x12\x011"
    named = b"\x0a\x01A\x12" + bytes([len(schema)]) + schema
    definitions = b"\x0a" + bytes([len(named)]) + named
    assert encode(document) == b"\x0a\x032.0" + b"\x4a" + bytes([len(definitions)]) + definitions


async def test_the_index(api: Api) -> None:
    paths = (await api.get("/")).json["paths"]
    assert {"/api/v1", "/apis/apps/v1", "/readyz/etcd", "/openapi/v3"} <= set(paths)
    assert (await api.ask("POST", "/version")).status == 405
