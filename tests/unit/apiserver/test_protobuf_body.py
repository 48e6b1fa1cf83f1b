"""Request bodies in protobuf, written here byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from sampan.api import schema
from sampan.api.errors import BadRequest
from sampan.apiserver.openapi_protobuf import varint
from sampan.apiserver.protobuf_body import MAGIC, read
from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def block(number: int, payload: bytes | str) -> bytes:
    raw = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + block(1, block(1, api_version) + block(2, kind)) + block(2, raw)


def entry(key: str, value: str | bytes) -> bytes:
    return block(1, key) + block(2, value)


def read_as(api_version: str, kind: str, raw: bytes) -> Any:
    return read(body(api_version, kind, raw), schema.type_for(api_version, kind))


async def test_a_config_map_as_kubectl_sends_it(api: Api) -> None:
    # metadata: name "a", the empty strings and numbers that Go always writes, a creationTimestamp that was never set
    metadata = (block(1, "a") + block(2, "") + block(3, "") + block(4, "") + block(5, "") + block(6, "") + number(7, 0)
                + block(8, b""))
    raw = block(1, metadata) + block(2, entry("key", "value")) + block(3, entry("bin", b"\x00\xff"))
    answer = await api.ask("POST", CONFIGMAPS, body("v1", "ConfigMap", raw), content_type=PROTOBUF)
    assert answer.status == 201, answer.body
    obj = answer.json
    assert (obj["data"], obj["binaryData"]) == ({"key": "value"}, {"bin": "AP8="})
    assert "generateName" not in obj["metadata"]


def test_a_zero_counts_only_behind_a_pointer() -> None:
    spec = number(1, 0) + number(5, 0) + number(7, 0)  # *replicas, minReadySeconds, paused
    assert read_as("apps/v1", "Deployment", block(2, spec))["spec"] == {"replicas": 0}


def test_embedded_messages_join_their_parent() -> None:
    empty_dir = block(2, b"")  # VolumeSource.emptyDir
    volume = block(1, "scratch") + block(2, empty_dir)
    assert read_as("v1", "Pod", block(2, block(1, volume)))["spec"]["volumes"] == [{"name": "scratch", "emptyDir": {}}]


def test_quantities_times_and_ports() -> None:
    limits = entry("cpu", block(1, "500m"))
    probe = block(1, block(2, block(1, "/healthz") + block(2, number(1, 0) + number(2, 8080) + block(3, ""))))
    container = block(1, "c") + block(8, block(1, limits)) + block(10, probe)
    pod = read_as("v1", "Pod", block(2, block(2, container)) + block(1, block(8, number(1, 1_795_000_000))))
    assert pod["spec"]["containers"] == [{
        "name": "c", "resources": {"limits": {"cpu": "500m"}},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    }]
    assert pod["metadata"]["creationTimestamp"] == "2026-11-18T11:06:40Z"
    named = number(1, 1) + number(2, 0) + block(3, "http")
    service = read_as("v1", "Service", block(2, block(1, block(1, "x") + block(4, named))))
    assert service["spec"]["ports"] == [{"name": "x", "targetPort": "http"}]


def test_negative_numbers() -> None:
    options = read(body("v1", "DeleteOptions", number(1, (1 << 64) - 5)), schema.type_for("v1", "DeleteOptions"))
    assert options["gracePeriodSeconds"] == -5


def test_lists_inside_maps_are_wrapped() -> None:
    extra = block(1, "scopes") + block(2, block(1, "a") + block(1, "b"))
    spec = read_as("authorization.k8s.io/v1", "SubjectAccessReview", block(2, block(5, extra)))["spec"]
    assert spec["extra"] == {"scopes": ["a", "b"]}


async def test_delete_options(api: Api) -> None:
    await api.configmap("a")
    raw = body("v1", "DeleteOptions", block(4, "Foreground"))
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a", raw, content_type=PROTOBUF)
    assert answer.json["metadata"]["finalizers"] == ["foregroundDeletion"]


@pytest.mark.parametrize("data", [b"{}", MAGIC + b"\x0a\xff", MAGIC + block(2, b"\x0a\x7f")])
def test_broken_bytes(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data, schema.type_for("v1", "ConfigMap"))


def test_a_kind_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(BadRequest, match="is not supported, send JSON"):
        read_as("batch/v1", "Job", b"")


def test_every_message_of_the_table_fits_the_schema() -> None:
    """Each name in the table is a field of the schema's type of that message (or of the type that embeds it)."""
    from sampan.apiserver.protobuf_body import _messages

    def check(message: str, type_: schema.Type, seen: set[str]) -> None:
        for field in _messages()[message].values():
            if field.inline:
                check(field.inline, type_, seen)
                continue
            child = type_.fields.get(field.name)
            assert child is not None, f"{message}.{field.name}"
            while child.element is not None:
                child = child.element
            short = child.name.replace("io.k8s.apimachinery.pkg.apis.", "").replace("io.k8s.api.", "")
            if child.kind == "struct" and short not in seen:
                assert short in _messages(), short
                seen.add(short)
                check(short, child, seen)

    for kind in ("Pod", "Service", "Node", "Namespace", "Secret", "Endpoints", "Event", "Binding", "DeleteOptions"):
        type_ = schema.type_for("v1", kind)
        check(type_.name.replace("io.k8s.apimachinery.pkg.apis.", "").replace("io.k8s.api.", ""), type_, set())
