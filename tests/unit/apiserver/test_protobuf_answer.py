"""Answers to clients that accept nothing but protobuf, and bodies of every verb."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from sampan.api.protobuf.decode import message
from sampan.api.protobuf.envelope import unwrap, wrap
from sampan.apiserver.negotiation import JSON, PROTOBUF, negotiate
from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
METADATA = f"{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


def frames(chunk: bytes) -> list[tuple[str, Any]]:
    found = []
    while chunk:
        length, = struct.unpack_from(">I", chunk)
        event = message("meta.v1.WatchEvent", chunk, 4, 4 + length, 0, {})
        found.append((event["type"], event["object"]))
        chunk = chunk[4 + length:]
    return found


@pytest.mark.parametrize(("accept", "media"), [
    (PROTOBUF, PROTOBUF), (f"{PROTOBUF};q=1.0, application/cbor", PROTOBUF),
    (f"{PROTOBUF},application/json", JSON), (f"{PROTOBUF}, */*", JSON), (METADATA, PROTOBUF),
    (f"{METADATA},application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json", JSON),
])
def test_json_is_preferred(accept: str, media: str) -> None:
    assert negotiate(accept).media == media


async def test_a_client_that_speaks_only_protobuf(api: Api) -> None:
    sent = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "value"}}
    made = await api.ask("POST", CONFIGMAPS, wrap(sent), content_type=PROTOBUF, accept=PROTOBUF)
    assert (made.status, made.headers["Content-Type"]) == (201, PROTOBUF)
    created = unwrap(made.body)
    assert created == (await api.get(f"{CONFIGMAPS}/a")).json
    changed = created | {"data": {"key": "2"}}
    updated = await api.ask("PUT", f"{CONFIGMAPS}/a", wrap(changed), content_type=f"{PROTOBUF};charset=utf-8",
                            accept=PROTOBUF)
    assert unwrap(updated.body)["data"] == {"key": "2"}
    listed = await api.get(CONFIGMAPS, accept=PROTOBUF)
    assert listed.headers["Content-Type"] == PROTOBUF
    found = unwrap(listed.body)
    assert (found["kind"], [item["data"] for item in found["items"]]) == ("ConfigMapList", [{"key": "2"}])
    assert found["metadata"]["resourceVersion"] == str(api.store.revision)
    options = wrap({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})
    deleted = await api.ask("DELETE", f"{CONFIGMAPS}/a", options, content_type=PROTOBUF, accept=PROTOBUF)
    assert unwrap(deleted.body)["status"] == "Success"
    gone = await api.get(f"{CONFIGMAPS}/a", accept=PROTOBUF)
    assert (gone.status, gone.headers["Content-Type"], gone.json["reason"]) == (404, JSON, "NotFound")


async def test_only_the_metadata(api: Api) -> None:
    await api.configmap("a")
    one = unwrap((await api.get(f"{CONFIGMAPS}/a", accept=METADATA)).body)
    assert (one["kind"], one["metadata"]["name"], "data" in one) == ("PartialObjectMetadata", "a", False)
    for version in ("v1", "v1beta1"):  # the older list has its fields the other way round
        wanted = METADATA.replace("Metadata;", "MetadataList;").replace("v=v1", f"v={version}")
        many = unwrap((await api.get(CONFIGMAPS, accept=wanted)).body)
        assert many["apiVersion"] == f"meta.k8s.io/{version}"
        assert [item["metadata"]["name"] for item in many["items"]] == ["a"]


async def test_a_watch_in_frames(api: Api) -> None:
    first = await api.configmap("a")
    response = await api.send("GET", f"{CONFIGMAPS}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                              "&resourceVersionMatch=NotOlderThan", accept=PROTOBUF)
    assert response.headers["Content-Type"] == f"{PROTOBUF};stream=watch"
    assert isinstance(response.body, AsyncGenerator)
    assert frames(await anext(response.body)) == [("ADDED", first)]
    (type_, mark), = frames(await anext(response.body))
    assert (type_, mark["metadata"]["annotations"]) == ("BOOKMARK", {"k8s.io/initial-events-end": "true"})
    second = await api.configmap("b")
    assert frames(await anext(response.body)) == [("ADDED", second)]
    await response.body.aclose()


async def test_a_watch_that_is_too_late_says_so_in_a_frame(api: Api) -> None:
    response = await api.send("GET", f"{CONFIGMAPS}?watch=true&resourceVersion=999999", accept=PROTOBUF)
    assert isinstance(response.body, AsyncGenerator)
    (type_, status), = frames(await anext(response.body))
    assert (type_, status["code"], status["kind"]) == ("ERROR", 504, "Status")
    await response.body.aclose()


async def test_a_table_has_no_protobuf(api: Api) -> None:
    answer = await api.get(CONFIGMAPS, accept=f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1")
    assert answer.status == 406


async def test_discovery(api: Api) -> None:
    groups = unwrap((await api.get("/apis", accept=PROTOBUF)).body)
    assert "apps" in [group["name"] for group in groups["groups"]]
    resources = unwrap((await api.get("/api/v1", accept=PROTOBUF)).body)
    pods = next(each for each in resources["resources"] if each["name"] == "pods")
    assert {"create", "watch"} <= set(pods["verbs"])


@pytest.mark.parametrize(("body", "why"), [
    (b"{}", "expected prefix"), (b"k8s\0\xff", "unexpected EOF"), (b"", "no body"),
    (wrap({"apiVersion": "v1", "kind": "Secret"}), "does not match the expected kind"),
    (wrap({"apiVersion": "v1", "kind": "ConfigMap"})[:-9], "unexpected EOF"),
])
async def test_bodies_that_are_refused(api: Api, body: bytes, why: str) -> None:
    answer = await api.ask("POST", CONFIGMAPS, body, content_type=PROTOBUF)
    assert answer.status == 400
    assert why in answer.json["message"]
