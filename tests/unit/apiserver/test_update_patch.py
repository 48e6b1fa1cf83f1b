"""PUT and PATCH: optimistic concurrency, the four patch types, status, scale."""

from __future__ import annotations

from typing import Any

from sampan.store.base import Entry
from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


def deployment(name: str = "web", replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "web", "image": "nginx"}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def test_an_update_moves_the_revision(api: Api) -> None:
    obj = await api.configmap("a")
    obj["data"]["key"] = "other"
    answer = await api.ask("PUT", f"{CONFIGMAPS}/a", obj)
    assert answer.status == 200
    assert answer.json["data"] == {"key": "other"}
    assert int(answer.json["metadata"]["resourceVersion"]) > int(obj["metadata"]["resourceVersion"])
    assert answer.json["metadata"]["uid"] == obj["metadata"]["uid"]


async def test_an_old_revision_conflicts(api: Api) -> None:
    obj = await api.configmap("a")
    await api.ask("PUT", f"{CONFIGMAPS}/a", obj | {"data": {"key": "first"}})
    answer = await api.ask("PUT", f"{CONFIGMAPS}/a", obj | {"data": {"key": "second"}})
    assert answer.status == 409
    assert answer.json["message"] == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )


async def test_a_foreign_uid_conflicts(api: Api) -> None:
    obj = await api.configmap("a")
    obj["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    answer = await api.ask("PUT", f"{CONFIGMAPS}/a", obj)
    assert answer.status == 409
    assert "Precondition failed: UID in precondition" in answer.json["message"]


async def test_writing_the_same_again_writes_nothing(api: Api) -> None:
    obj = await api.configmap("a")
    before = api.store.revision
    answer = await api.ask("PUT", f"{CONFIGMAPS}/a", obj)
    assert answer.json["metadata"]["resourceVersion"] == obj["metadata"]["resourceVersion"]
    assert api.store.revision == before


async def test_an_update_of_what_is_not_there(api: Api) -> None:
    assert (await api.ask("PUT", f"{CONFIGMAPS}/a", {"metadata": {"name": "a"}})).status == 404


async def test_the_name_must_be_that_of_the_url(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("PUT", f"{CONFIGMAPS}/a", {"metadata": {"name": "b"}})
    assert answer.status == 400
    assert answer.json["message"] == "the name of the object (b) does not match the name on the URL (a)"


async def test_merge_patch(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", {"data": {"key": None, "new": "1"}}, content_type=MERGE)
    assert answer.status == 200
    assert answer.json["data"] == {"new": "1"}


async def test_json_patch(api: Api) -> None:
    await api.configmap("a")
    patch = [{"op": "replace", "path": "/data/key", "value": "patched"}]
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", patch, content_type=JSON_PATCH)
    assert answer.json["data"] == {"key": "patched"}


async def test_strategic_patch_merges_containers_by_name(api: Api) -> None:
    await api.ask("POST", DEPLOYMENTS, deployment())
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}, {
        "name": "side", "image": "busybox"}]}}}}
    answer = await api.ask("PATCH", f"{DEPLOYMENTS}/web", patch, content_type=STRATEGIC)
    assert answer.status == 200, answer.body
    containers = answer.json["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in containers} == {"web": "nginx:2", "side": "busybox"}
    assert answer.json["metadata"]["generation"] == 2


async def test_a_patch_of_an_unknown_type(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", {}, content_type="application/json")
    assert answer.status == 415
    assert "application/apply-patch+yaml" in answer.json["message"]


async def test_a_patch_with_an_unknown_field(api: Api) -> None:
    await api.configmap("a")
    path = f"{CONFIGMAPS}/a?fieldValidation=Strict"
    answer = await api.ask("PATCH", path, {"dat": {}}, content_type=MERGE)
    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["field"] == "patch"
    warned = await api.ask("PATCH", f"{CONFIGMAPS}/a", {"dat": {}}, content_type=MERGE)
    assert 'unknown field \\"dat\\"' in warned.headers["Warning"]


async def test_a_patch_that_lost_a_race_is_applied_again(api: Api, monkeypatch: Any) -> None:
    await api.configmap("a")
    update, raced = api.store.update, []

    async def interfering(key: str, value: bytes, *, expected: int) -> Entry:
        if not raced:
            raced.append(key)
            current = await api.store.get(key)
            assert current is not None
            await update(key, current.value.replace(b'"value"', b'"theirs"'), expected=current.revision)
        return await update(key, value, expected=expected)

    monkeypatch.setattr(api.store, "update", interfering)
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", {"data": {"mine": "1"}}, content_type=MERGE)
    assert answer.json["data"] == {"key": "theirs", "mine": "1"}
    assert raced


async def test_a_patch_that_names_a_revision_conflicts(api: Api) -> None:
    await api.configmap("a")
    patch = {"metadata": {"resourceVersion": "999"}, "data": {"mine": "1"}}
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", patch, content_type=MERGE)
    assert answer.status == 409


async def test_apply_creates_and_then_changes(api: Api) -> None:
    path = f"{CONFIGMAPS}/a?fieldManager=me"
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: one\n"
    first = await api.ask("PATCH", path, body, content_type=APPLY)
    assert first.status == 201, first.body
    second = await api.ask("PATCH", path, body.replace(b"one", b"two"), content_type=APPLY)
    assert second.status == 200
    assert second.json["data"] == {"key": "two"}
    assert second.json["metadata"]["managedFields"][0]["operation"] == "Apply"
    other = await api.ask("PATCH", f"{CONFIGMAPS}/a?fieldManager=you", body, content_type=APPLY)
    assert other.status == 409
    assert other.json["details"]["causes"][0]["field"] == ".data.key"
    forced = await api.ask("PATCH", f"{CONFIGMAPS}/a?fieldManager=you&force=true", body, content_type=APPLY)
    assert forced.status == 200


async def test_apply_needs_a_manager(api: Api) -> None:
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a", b"{}", content_type=APPLY)
    assert answer.status == 422
    assert "is required for apply patch" in answer.json["message"]


async def test_apply_of_an_unknown_field_is_refused(api: Api) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndat: {}\n"
    answer = await api.ask("PATCH", f"{CONFIGMAPS}/a?fieldManager=me", body, content_type=APPLY)
    assert answer.status == 500
    assert answer.json["message"] == (
        "failed to create typed patch object (default/a; v1, Kind=ConfigMap): .dat: field not declared in schema"
    )


async def test_an_apply_that_creates_needs_the_right_to_create(api: Api) -> None:
    api.rules.allowed = {("jane", "patch", "configmaps")}
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
    path = f"{CONFIGMAPS}/a?fieldManager=me"
    answer = await api.ask("PATCH", path, body, content_type=APPLY, x_test_user="jane")
    assert answer.status == 403
    api.rules.allowed.add(("jane", "create", "configmaps"))
    assert (await api.ask("PATCH", path, body, content_type=APPLY, x_test_user="jane")).status == 201


async def test_status_and_spec_have_their_own_doors(api: Api) -> None:
    obj = (await api.ask("POST", DEPLOYMENTS, deployment())).json
    obj["spec"]["replicas"], obj["status"] = 5, {"replicas": 3}
    by_status = (await api.ask("PUT", f"{DEPLOYMENTS}/web/status", obj)).json
    assert (by_status["spec"]["replicas"], by_status["status"]["replicas"]) == (1, 3)
    by_status["spec"]["replicas"], by_status["status"] = 5, {}
    by_main = (await api.ask("PUT", f"{DEPLOYMENTS}/web", by_status)).json
    assert (by_main["spec"]["replicas"], by_main["status"]["replicas"]) == (5, 3)


async def test_scale(api: Api) -> None:
    await api.ask("POST", DEPLOYMENTS, deployment(replicas=2))
    scale = (await api.get(f"{DEPLOYMENTS}/web/scale")).json
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 2)
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 4
    assert (await api.ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)).json["spec"]["replicas"] == 4
    assert (await api.ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)).status == 409
    patched = await api.ask("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 0}}, content_type=MERGE)
    assert patched.json["spec"] == {}
    assert (await api.get(f"{DEPLOYMENTS}/web")).json["spec"]["replicas"] == 0
    bad = await api.ask("PATCH", f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": -1}}, content_type=MERGE)
    assert bad.status == 422
