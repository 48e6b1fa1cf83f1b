"""The handler chain: who may, as whom, how many, and what a refusal looks like."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sampan.apiserver.impersonation import complete, requested
from sampan.apiserver.inflight import InFlight
from sampan.auth.user import UserInfo
from tests.unit.apiserver.conftest import Api

PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", PODS, 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace '
                      '"default"'),
        ("GET", f"{PODS}/a/log", 'pods "a" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in '
                                 'the namespace "default"'),
        ("GET", "/apis/apps/v1/deployments", 'deployments.apps is forbidden: User "jane" cannot list resource '
                                             '"deployments" in API group "apps" at the cluster scope'),
        ("GET", "/metrics", 'forbidden: User "jane" cannot get path "/metrics"'),
    ],
)
async def test_refusals(api: Api, method: str, path: str, message: str) -> None:
    answer = await api.ask(method, path, x_test_user="jane")
    assert (answer.status, answer.json["reason"], answer.json["message"]) == (403, "Forbidden", message)


async def test_impersonation(api: Api) -> None:
    answer = await api.get(PODS, impersonate_user="jane", impersonate_group="ops,1\ndev")
    assert answer.status == 403
    assert api.rules.asked[-1].user == UserInfo("jane", groups=("ops,1", "dev", "system:authenticated"))
    asked = [(a.verb, a.resource, a.name) for a in api.rules.asked[:-1]]
    assert asked == [("impersonate", "users", "jane"), ("impersonate", "groups", "ops,1"),
                     ("impersonate", "groups", "dev")]


async def test_impersonation_needs_the_right(api: Api) -> None:
    answer = await api.get(PODS, x_test_user="jane", impersonate_user="admin")
    assert answer.json["message"] == (
        'users "admin" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster '
        "scope"
    )


async def test_groups_without_a_user(api: Api) -> None:
    assert (await api.get(PODS, impersonate_group="ops")).status == 500


def test_an_impersonated_service_account_has_its_groups() -> None:
    headers = {"impersonate-user": "system:serviceaccount:web:robot", "impersonate-extra-a%2Fb": "1\n2"}
    user = complete(requested(headers))
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated")
    assert user.extra == {"a/b": ("1", "2")}


async def test_methods_that_a_resource_does_not_have(api: Api) -> None:
    for method, path in (("POST", f"{PODS}/a"), ("POST", "/api/v1/pods"), ("GET", f"{PODS}/a/binding"),
                         ("DELETE", "/api/v1/namespaces"), ("GET", "/api/v1/namespaces/default/nodes"),
                         ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews")):
        answer = await api.ask(method, path)
        assert (answer.status, answer.json["reason"]) == (405, "MethodNotAllowed"), path


async def test_a_bug_is_an_internal_error(api: Api, monkeypatch: Any, caplog: Any) -> None:
    async def broken(key: str) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(api.store, "get", broken)
    answer = await api.get(f"{PODS}/a")
    assert (answer.status, answer.json["reason"]) == (500, "InternalError")
    assert "boom" in caplog.text


async def test_a_request_that_takes_too_long(api: Api, monkeypatch: Any) -> None:
    async def slow(prefix: str, **_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(api.store, "list", slow)
    api.server.config = replace(api.server.config, request_timeout_seconds=0.01)
    answer = await api.get(PODS)
    assert (answer.status, answer.json["reason"]) == (504, "Timeout")


async def test_too_many_at_once(api: Api) -> None:
    api.server.inflight = InFlight(0, 0)
    api.rules.allowed = {("jane", "list", "pods")}
    answer = await api.get(PODS, x_test_user="jane")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert (await api.get(PODS)).status == 200, "masters always get in"


async def test_metrics_count(api: Api) -> None:
    await api.get(PODS)
    await api.get("/apis/nonsense/v1/things")
    text = (await api.get("/metrics")).body.decode()
    assert 'apiserver_request_total{verb="list",group="",resource="pods",subresource="",code="200"} 1' in text
    assert "nonsense" not in text
