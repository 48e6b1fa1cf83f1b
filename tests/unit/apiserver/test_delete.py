"""DELETE: at once, by finalizers, by grace, of namespaces, of collections."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sampan.apiserver.delete_options import DeleteOptions
from sampan.apiserver.verbs.delete import plan, plan_namespace
from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
NOW = datetime(2026, 11, 22, 15, 0, 0, tzinfo=UTC)


def obj(**metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "uid": "u", **metadata}}


async def test_gone_at_once(api: Api) -> None:
    created = await api.configmap("a")
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a")
    assert answer.status == 200
    assert answer.json["status"] == "Success"
    assert answer.json["details"] == {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}
    assert (await api.get(f"{CONFIGMAPS}/a")).status == 404
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/a")).status == 404


async def test_finalizers_hold_it(api: Api) -> None:
    await api.configmap("a", finalizers=["example.com/hold"])
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a")
    assert answer.json["metadata"]["deletionTimestamp"]
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 0
    again = await api.ask("DELETE", f"{CONFIGMAPS}/a")
    assert again.json["metadata"]["resourceVersion"] == answer.json["metadata"]["resourceVersion"]
    patch = {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}}
    more = await api.ask("PATCH", f"{CONFIGMAPS}/a", patch, content_type="application/merge-patch+json")
    assert more.status == 422
    patch = {"metadata": {"finalizers": None}}
    last = await api.ask("PATCH", f"{CONFIGMAPS}/a", patch, content_type="application/merge-patch+json")
    assert last.status == 200
    assert (await api.get(f"{CONFIGMAPS}/a")).status == 404


@pytest.mark.parametrize(("policy", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
async def test_the_policy_is_written_down(api: Api, policy: str, finalizer: str) -> None:
    await api.configmap("a")
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a", body)
    assert answer.json["metadata"]["finalizers"] == [finalizer]
    assert answer.json["metadata"]["deletionTimestamp"]


async def test_a_policy_in_the_query(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a?propagationPolicy=Orphan")
    assert answer.json["metadata"]["finalizers"] == ["orphan"]


async def test_an_unknown_policy(api: Api) -> None:
    await api.configmap("a")
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a", {"propagationPolicy": "Sideways"})
    assert answer.status == 422


async def test_preconditions(api: Api) -> None:
    created = await api.configmap("a")
    answer = await api.ask("DELETE", f"{CONFIGMAPS}/a", {"preconditions": {"uid": "other"}})
    assert answer.status == 409
    assert answer.json["message"].endswith(
        f"Precondition failed: UID in precondition: other, UID in object meta: {created['metadata']['uid']}"
    )
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/a", {"preconditions": {"resourceVersion": "99"}})).status == 409
    fits = {"uid": created["metadata"]["uid"], "resourceVersion": created["metadata"]["resourceVersion"]}
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/a", {"preconditions": fits})).status == 200


async def test_dry_run_deletes_nothing(api: Api) -> None:
    await api.configmap("a")
    assert (await api.ask("DELETE", f"{CONFIGMAPS}/a?dryRun=All")).status == 200
    assert (await api.get(f"{CONFIGMAPS}/a")).status == 200


async def test_a_collection(api: Api) -> None:
    await api.configmap("a", labels={"x": "1"})
    await api.configmap("b", labels={"x": "1"})
    await api.configmap("c")
    answer = await api.ask("DELETE", f"{CONFIGMAPS}?labelSelector=x=1")
    assert [item["metadata"]["name"] for item in answer.json["items"]] == ["a", "b"]
    assert len((await api.get(CONFIGMAPS)).json["items"]) == 1


async def test_a_namespace_goes_in_two_steps(api: Api) -> None:
    created = await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "web"}})
    assert created.json["spec"]["finalizers"] == ["kubernetes"]
    marked = (await api.ask("DELETE", "/api/v1/namespaces/web")).json
    assert marked["status"]["phase"] == "Terminating"
    assert marked["metadata"]["deletionTimestamp"]
    marked["spec"]["finalizers"] = []
    assert (await api.ask("PUT", "/api/v1/namespaces/web/finalize", marked)).status == 200
    assert (await api.get("/api/v1/namespaces/web")).status == 404


def test_a_grace_period_sets_the_deadline() -> None:
    planned = plan(obj(generation=1), DeleteOptions(), 30, NOW)
    assert not planned.remove
    assert planned.marked is not None
    metadata = planned.marked["metadata"]
    assert metadata["deletionTimestamp"] == "2026-11-22T15:00:30Z"
    assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (30, 2)


def test_a_second_delete_may_only_shorten_it() -> None:
    dying = obj(deletionTimestamp="2026-11-22T15:00:30Z", deletionGracePeriodSeconds=30)
    assert plan(dying, DeleteOptions(), 30, NOW).marked is None
    assert plan(dying, DeleteOptions(60), 60, NOW).marked is None
    shorter = plan(dying, DeleteOptions(5), 5, NOW)
    assert shorter.marked is not None
    assert shorter.marked["metadata"]["deletionTimestamp"] == "2026-11-22T15:00:05Z"
    assert not shorter.remove
    assert plan(dying, DeleteOptions(0), 0, NOW).remove


def test_what_is_marked_with_no_grace_goes_at_the_second_delete() -> None:
    dying = obj(deletionTimestamp="2026-11-22T15:00:00Z", deletionGracePeriodSeconds=0)
    assert plan(dying, DeleteOptions(), 30, NOW).remove


def test_grace_zero_with_finalizers_waits_for_them() -> None:
    dying = obj(deletionTimestamp="2026-11-22T15:00:30Z", deletionGracePeriodSeconds=30, finalizers=["a/b"])
    assert not plan(dying, DeleteOptions(0), 0, NOW).remove
    assert not plan(obj(finalizers=["a/b"]), DeleteOptions(), None, NOW).remove


def test_background_takes_the_policy_finalizers_off() -> None:
    planned = plan(obj(finalizers=["orphan", "a/b"]), DeleteOptions(propagation_policy="Background"), None, NOW)
    assert planned.marked is not None
    assert planned.marked["metadata"]["finalizers"] == ["a/b"]


def test_a_namespace_without_finalizers_goes() -> None:
    dying = obj(deletionTimestamp="2026-11-22T15:00:00Z") | {"spec": {}}
    assert plan_namespace(dying, NOW).remove
    assert not plan_namespace(dying | {"spec": {"finalizers": ["kubernetes"]}}, NOW).remove
