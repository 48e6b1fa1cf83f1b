"""Paths and what they ask for."""

from __future__ import annotations

import pytest

from sampan.api.http import Request
from sampan.apiserver.request_info import RequestInfo, request_info


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/api/v1/namespaces/web/pods/a", ("get", "", "v1", "pods", "", "web", "a")),
        ("GET", "/api/v1/namespaces/web/pods", ("list", "", "v1", "pods", "", "web", "")),
        ("GET", "/api/v1/pods", ("list", "", "v1", "pods", "", "", "")),
        ("POST", "/api/v1/namespaces/web/pods/a/exec", ("create", "", "v1", "pods", "exec", "web", "a")),
        ("DELETE", "/apis/apps/v1/namespaces/web/deployments", ("deletecollection", "apps", "v1", "deployments", "",
                                                                "web", "")),
        ("PUT", "/api/v1/namespaces/web/status", ("update", "", "v1", "namespaces", "status", "web", "web")),
        ("PUT", "/api/v1/namespaces/web/finalize", ("update", "", "v1", "namespaces", "finalize", "web", "web")),
        ("GET", "/api/v1/namespaces", ("list", "", "v1", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/web", ("get", "", "v1", "namespaces", "", "web", "web")),
        ("PATCH", "/api/v1/nodes/n1/status", ("patch", "", "v1", "nodes", "status", "", "n1")),
        ("GET", "/api/v1/watch/namespaces/web/pods", ("watch", "", "v1", "pods", "", "web", "")),
        ("HEAD", "/api/v1/namespaces/web/pods/a", ("get", "", "v1", "pods", "", "web", "a")),
    ],
)
def test_resource_paths(method: str, path: str, wanted: tuple[str, ...]) -> None:
    info = request_info(Request(method, path))
    found = (info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, info.name)
    assert found == wanted
    assert info.is_resource


@pytest.mark.parametrize("path", ["/", "/healthz", "/api", "/api/v1", "/apis/apps", "/apis/apps/v1", "/openapi/v2"])
def test_other_paths_are_asked_with_the_method(path: str) -> None:
    assert request_info(Request("GET", path)) == RequestInfo(path, "get")


@pytest.mark.parametrize(("value", "verb"), [("true", "watch"), ("1", "watch"), ("", "watch"), ("false", "list")])
def test_watch_parameter(value: str, verb: str) -> None:
    assert request_info(Request("GET", "/api/v1/pods", [("watch", value)])).verb == verb


def test_the_path_behind_a_proxy_is_kept() -> None:
    info = request_info(Request("GET", "/api/v1/nodes/n1/proxy/stats/summary"))
    assert (info.subresource, info.name, info.rest) == ("proxy", "n1", "stats/summary")
