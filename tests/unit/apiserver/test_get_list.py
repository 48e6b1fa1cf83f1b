"""GET of one object and of collections."""

from __future__ import annotations

from tests.unit.apiserver.conftest import Api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_what_is_not_there(api: Api) -> None:
    answer = await api.get(f"{CONFIGMAPS}/a")
    assert answer.status == 404
    assert answer.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": 'configmaps "a" not found', "details": {"name": "a", "kind": "configmaps"},
    }


async def test_an_unknown_resource_is_a_plain_404(api: Api) -> None:
    answer = await api.get("/apis/example.com/v1/things")
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


async def test_a_list_is_in_key_order_with_its_revision(api: Api) -> None:
    for name in ("b", "a", "c"):
        await api.configmap(name)
    answer = (await api.get(CONFIGMAPS)).json
    assert answer["kind"] == "ConfigMapList"
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "b", "c"]
    assert answer["metadata"]["resourceVersion"] == str(api.store.revision)
    assert {item["metadata"]["resourceVersion"] for item in answer["items"]} == {"1", "2", "3"}


async def test_a_namespace_does_not_see_another(api: Api) -> None:
    await api.configmap("a")
    await api.configmap("b", "default2")
    assert len((await api.get(CONFIGMAPS)).json["items"]) == 1
    assert len((await api.get("/api/v1/configmaps")).json["items"]) == 2


async def test_selectors(api: Api) -> None:
    await api.configmap("a", labels={"app": "web"})
    await api.configmap("b", labels={"app": "db"})

    async def names(query: str) -> list[str]:
        answer = await api.get(f"{CONFIGMAPS}?{query}")
        assert answer.status == 200, answer.body
        return [item["metadata"]["name"] for item in answer.json["items"]]

    assert await names("labelSelector=app=web") == ["a"]
    assert await names("labelSelector=app in (web,db)") == ["a", "b"]
    assert await names("fieldSelector=metadata.name=b") == ["b"]
    assert await names("fieldSelector=metadata.name!=b") == ["a"]
    assert await names("fieldSelector=metadata.name=b&labelSelector=app=web") == []
    assert (await api.get(f"{CONFIGMAPS}?fieldSelector=spec.x=1")).json["message"] == (
        "field label not supported: spec.x"
    )
    assert (await api.get(f"{CONFIGMAPS}?labelSelector=a==b==c")).status == 400


async def test_pages_show_one_state(api: Api) -> None:
    for name in ("a", "b", "c", "d", "e"):
        await api.configmap(name)
    first = (await api.get(f"{CONFIGMAPS}?limit=2")).json
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.ask("DELETE", f"{CONFIGMAPS}/c")
    second = (await api.get(f"{CONFIGMAPS}?limit=2&continue={first['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = (await api.get(f"{CONFIGMAPS}?limit=2&continue={second['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in third["items"]] == ["e"]
    assert "continue" not in third["metadata"]


async def test_pages_with_a_selector(api: Api) -> None:
    for number in range(9):
        await api.configmap(f"c{number}", labels={"odd": str(number % 2)})
    query, found = "limit=2&labelSelector=odd=1", []
    while True:
        page = (await api.get(f"{CONFIGMAPS}?{query}")).json
        found += [item["metadata"]["name"] for item in page["items"]]
        assert "remainingItemCount" not in page["metadata"]
        if not page["metadata"].get("continue"):
            break
        query = f"limit=2&labelSelector=odd=1&continue={page['metadata']['continue']}"
    assert found == ["c1", "c3", "c5", "c7"]


async def test_a_compacted_continue_token_comes_with_another_one(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.configmap(name)
    token = (await api.get(f"{CONFIGMAPS}?limit=1")).json["metadata"]["continue"]
    await api.configmap("d")
    await api.store.compact(api.store.revision)
    answer = await api.get(f"{CONFIGMAPS}?limit=1&continue={token}")
    assert answer.status == 410
    assert answer.json["reason"] == "Expired"
    assert answer.json["message"].startswith("The provided continue parameter is too old")
    rest = (await api.get(f"{CONFIGMAPS}?continue={answer.json['metadata']['continue']}")).json
    assert [item["metadata"]["name"] for item in rest["items"]] == ["b", "c", "d"]


async def test_a_past_state(api: Api) -> None:
    await api.configmap("a")
    past = api.store.revision
    await api.configmap("b")
    exact = await api.get(f"{CONFIGMAPS}?resourceVersion={past}&resourceVersionMatch=Exact")
    assert [item["metadata"]["name"] for item in exact.json["items"]] == ["a"]
    newer = await api.get(f"{CONFIGMAPS}?resourceVersion={past}&resourceVersionMatch=NotOlderThan")
    assert len(newer.json["items"]) == 2


async def test_a_revision_from_the_future(api: Api) -> None:
    answer = await api.get(f"{CONFIGMAPS}?resourceVersion=999")
    assert answer.status == 504
    assert answer.json["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
    assert answer.headers["Retry-After"] == "1"


async def test_match_needs_a_revision(api: Api) -> None:
    answer = await api.get(f"{CONFIGMAPS}?resourceVersionMatch=Exact")
    assert answer.status == 400


async def test_a_table(api: Api) -> None:
    await api.configmap("a")
    table = (await api.get(CONFIGMAPS, accept=TABLE)).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert table["rows"][0]["cells"][0] == "a"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = (await api.get(f"{CONFIGMAPS}/a?includeObject=Object", accept=TABLE)).json
    assert whole["rows"][0]["object"]["data"] == {"key": "value"}
    bare = (await api.get(f"{CONFIGMAPS}?includeObject=None", accept=TABLE.replace("v1", "v1beta1"))).json
    assert bare["apiVersion"] == "meta.k8s.io/v1beta1"
    assert "object" not in bare["rows"][0]


async def test_metadata_only(api: Api) -> None:
    await api.configmap("a")
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
    answer = (await api.get(CONFIGMAPS, accept=accept)).json
    assert answer["kind"] == "PartialObjectMetadataList"
    assert set(answer["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_a_long_list_leaves_in_slices(api: Api) -> None:
    for number in range(1200):
        await api.store.create(f"/configmaps/default/c{number:04}", b'{"metadata":{"name":"c%04d"}}' % number)
    response = await api.send("GET", CONFIGMAPS)
    assert not isinstance(response.body, bytes)
    answer = await api.get(CONFIGMAPS)
    assert [item["metadata"]["name"] for item in answer.json["items"]] == [f"c{n:04}" for n in range(1200)]


async def test_curl_gets_it_indented(api: Api) -> None:
    await api.configmap("a")
    assert b"\n  " in (await api.get(f"{CONFIGMAPS}/a", user_agent="curl/8")).body
    assert b"\n  " in (await api.get(f"{CONFIGMAPS}/missing", user_agent="curl/8")).body
    assert b"\n" not in (await api.get(f"{CONFIGMAPS}/a")).body
