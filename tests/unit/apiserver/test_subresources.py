"""binding, eviction, token."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.unit.apiserver.conftest import Api

PODS = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


async def create_pod(api: Api, name: str = "web", **spec: Any) -> Any:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    answer = await api.ask("POST", PODS, body)
    assert answer.status == 201, answer.body
    return answer.json


async def test_binding_sets_the_node_once(api: Api) -> None:
    created = await create_pod(api)
    binding = {"metadata": {"name": "web", "uid": created["metadata"]["uid"], "annotations": {"a": "b"}},
               "target": {"kind": "Node", "name": "n1"}}
    answer = await api.ask("POST", f"{PODS}/web/binding", binding)
    assert (answer.status, answer.json["status"]) == (201, "Success"), answer.body
    pod = (await api.get(f"{PODS}/web")).json
    assert pod["spec"]["nodeName"] == "n1"
    assert pod["metadata"]["annotations"] == {"a": "b"}
    conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    assert conditions["PodScheduled"] == "True"
    again = await api.ask("POST", f"{PODS}/web/binding", binding)
    assert again.status == 409
    assert again.json["message"].endswith('pod web is already assigned to node "n1"')


async def test_the_old_bindings_resource(api: Api) -> None:
    await create_pod(api)
    binding = {"metadata": {"name": "web"}, "target": {"name": "n1"}}
    assert (await api.ask("POST", "/api/v1/namespaces/default/bindings", binding)).status == 201
    assert (await api.get(f"{PODS}/web")).json["spec"]["nodeName"] == "n1"


async def test_a_binding_of_another_pod_of_that_name(api: Api) -> None:
    await create_pod(api)
    binding = {"metadata": {"name": "web", "uid": "other"}, "target": {"name": "n1"}}
    assert (await api.ask("POST", f"{PODS}/web/binding", binding)).status == 409
    assert (await api.ask("POST", f"{PODS}/web/binding", {"target": {}})).status == 422
    assert (await api.ask("POST", f"{PODS}/nope/binding", {"target": {"name": "n1"}})).status == 404


async def test_eviction_deletes(api: Api) -> None:
    await create_pod(api)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}
    dry = await api.ask("POST", f"{PODS}/web/eviction?dryRun=All", eviction)
    assert dry.status == 201
    answer = await api.ask("POST", f"{PODS}/web/eviction", eviction)
    assert (answer.status, answer.json["status"]) == (201, "Success")
    assert (await api.get(f"{PODS}/web")).status == 404
    other = await api.ask("POST", f"{PODS}/web/eviction", eviction | {"metadata": {"name": "x"}})
    assert other.status == 400


async def test_a_scheduled_pod_gets_its_grace_period(api: Api) -> None:
    await create_pod(api, nodeName="n1", terminationGracePeriodSeconds=20)
    answer = await api.ask("DELETE", f"{PODS}/web")
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 20
    shorter = await api.ask("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 5})
    assert shorter.json["metadata"]["deletionGracePeriodSeconds"] == 5
    gone = await api.ask("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 0})
    assert gone.json["metadata"]["name"] == "web"
    assert (await api.get(f"{PODS}/web")).status == 404


class Issuer:
    """A token issuer whose tokens tell what they were made of."""

    def issue(
        self, service_account: Any, *, audiences: Iterable[str], expiration_seconds: int, bound_object: Any,
        now: datetime, node: Any,
    ) -> str:
        bound = bound_object["metadata"]["name"] if bound_object else ""
        return f"{service_account['metadata']['name']} {','.join(audiences)} {expiration_seconds} {bound}"


async def test_tokens(api: Api) -> None:
    api.server.issuer = Issuer()  # type: ignore[assignment]
    await api.ask("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    await create_pod(api, serviceAccountName="robot")
    path = f"{ACCOUNTS}/robot/token"
    plain = (await api.ask("POST", path, {"spec": {}})).json
    assert plain["kind"] == "TokenRequest"
    assert plain["status"]["token"] == f"robot {api.server.config.api_audiences[0]} 3600 "
    assert plain["status"]["expirationTimestamp"].endswith("Z")
    bound = {"spec": {"audiences": ["vault"], "expirationSeconds": 600,
                      "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web"}}}
    assert (await api.ask("POST", path, bound)).json["status"]["token"] == "robot vault 600 web"
    short = await api.ask("POST", path, {"spec": {"expirationSeconds": 599}})
    assert short.status == 422
    assert "may not specify a duration less than 10 minutes" in short.json["message"]
    bound["spec"]["boundObjectRef"]["uid"] = "other"  # type: ignore[index]
    assert (await api.ask("POST", path, bound)).status == 409
    bound["spec"]["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": "nope"}
    assert (await api.ask("POST", path, bound)).status == 404
    assert (await api.ask("POST", f"{ACCOUNTS}/nope/token", {"spec": {}})).status == 404


async def test_tokens_without_a_key(api: Api) -> None:
    answer = await api.ask("POST", f"{ACCOUNTS}/robot/token", {"spec": {}})
    assert answer.status == 503


async def test_events_in_both_groups_are_the_same(api: Api) -> None:
    body = {"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
            "reason": "Started", "note": "hello", "type": "Normal", "eventTime": "2026-11-22T15:00:00.000000Z",
            "reportingController": "x/y", "reportingInstance": "i", "action": "Start"}
    created = await api.ask("POST", "/apis/events.k8s.io/v1/namespaces/default/events", body)
    assert created.status == 201, created.body
    core = (await api.get("/api/v1/namespaces/default/events/e")).json
    assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "hello", "web")
    listed = (await api.get("/apis/events.k8s.io/v1/namespaces/default/events")).json
    assert (listed["apiVersion"], listed["items"][0]["note"]) == ("events.k8s.io/v1", "hello")
