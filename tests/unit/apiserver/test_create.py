"""POST: what is added to an object, what is refused."""

from __future__ import annotations

from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


async def test_a_created_object_gets_the_system_fields(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    assert answer.status == 201
    obj = answer.json
    assert (obj["kind"], obj["apiVersion"], obj["data"]) == ("ConfigMap", "v1", {"k": "v"})
    metadata = obj["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["resourceVersion"] == str(api.store.revision)
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert (await api.get(f"{CONFIGMAPS}/a")).json == obj


async def test_the_stored_form_has_no_revision(api: Api) -> None:
    await api.configmap("a")
    entry = await api.store.get("/configmaps/default/a")
    assert entry is not None
    assert entry.value.startswith(b'{"metadata":{')
    assert b"resourceVersion" not in entry.value


async def test_twice_is_a_conflict(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("POST", CONFIGMAPS, {"metadata": {"name": "a"}})
    assert answer.status == 409
    assert answer.json["reason"] == "AlreadyExists"
    assert answer.json["message"] == 'configmaps "a" already exists'


async def test_a_name_is_generated(api: Api) -> None:
    first = await api.ask("POST", CONFIGMAPS, {"metadata": {"generateName": "web-"}})
    second = await api.ask("POST", CONFIGMAPS, {"metadata": {"generateName": "web-"}})
    names = {first.json["metadata"]["name"], second.json["metadata"]["name"]}
    assert len(names) == 2
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


async def test_dry_run_stores_nothing(api: Api) -> None:
    answer = await api.ask("POST", f"{CONFIGMAPS}?dryRun=All", {"metadata": {"name": "a"}})
    assert answer.status == 201
    assert "resourceVersion" not in answer.json["metadata"]
    assert (await api.get(f"{CONFIGMAPS}/a")).status == 404


async def test_dry_run_of_something_that_exists_is_refused(api: Api) -> None:
    await api.configmap("a")
    assert (await api.ask("POST", f"{CONFIGMAPS}?dryRun=All", {"metadata": {"name": "a"}})).status == 409


async def test_dry_run_takes_all_or_nothing(api: Api) -> None:
    answer = await api.ask("POST", f"{CONFIGMAPS}?dryRun=Some", {"metadata": {"name": "a"}})
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "dryRun"


async def test_no_name_is_invalid(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, {"metadata": {}})
    assert answer.status == 422
    assert "name or generateName is required" in answer.json["message"]


async def test_unknown_fields_warn_or_are_refused(api: Api) -> None:
    body = {"metadata": {"name": "a"}, "dat": {}}
    warned = await api.ask("POST", CONFIGMAPS, body)
    assert warned.status == 201
    assert warned.headers["Warning"] == '299 - "unknown field \\"dat\\""'
    refused = await api.ask("POST", f"{CONFIGMAPS}?fieldValidation=Strict", body)
    assert refused.status == 400
    assert 'strict decoding error: unknown field "dat"' in refused.json["message"]
    ignored = await api.ask("POST", f"{CONFIGMAPS}?fieldValidation=Ignore", {"metadata": {"name": "b"}, "dat": {}})
    assert ignored.status == 201
    assert "Warning" not in ignored.headers


async def test_a_body_of_another_kind_is_refused(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}})
    assert answer.status == 400
    assert "Secret" in answer.json["message"]


async def test_a_namespace_that_contradicts_the_url_is_refused(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, {"metadata": {"name": "a", "namespace": "other"}})
    assert answer.status == 400
    assert answer.json["message"] == (
        "the namespace of the provided object does not match the namespace sent on the request"
    )


async def test_yaml_in_and_out(api: Api) -> None:
    body = b"metadata:\n  name: a\ndata:\n  key: value\n"
    answer = await api.ask("POST", CONFIGMAPS, body, content_type="application/yaml", accept="application/yaml")
    assert answer.status == 201
    assert b"key: value" in answer.body


async def test_media_types_that_are_not_served(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, b"<a/>", content_type="application/xml")
    assert answer.status == 415
    assert "application/json" in answer.json["message"]
    unreadable = await api.get(CONFIGMAPS, accept="application/cbor")
    assert unreadable.status == 406
    either = await api.get(CONFIGMAPS, accept="application/vnd.kubernetes.protobuf,application/json")
    assert either.status == 200


async def test_a_body_beyond_the_limit(api: Api) -> None:
    answer = await api.ask("POST", CONFIGMAPS, b'{"data":{"k":"' + b"x" * (3 << 20) + b'"}}')
    assert answer.status == 413
    assert answer.json["message"] == "Request entity too large: limit is 3145728"
