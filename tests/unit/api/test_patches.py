"""JSON patch, merge patch and strategic merge patch: results, refusals, and that inputs stay as they are."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sampan.api import jsonpatch, mergepatch, schema, strategicpatch
from sampan.api.errors import BadRequest, Invalid, RequestEntityTooLarge

POD = schema.type_for("v1", "Pod")
DEPLOYMENT = schema.type_for("apps/v1", "Deployment")
SERVICE = schema.type_for("v1", "Service")


@pytest.mark.parametrize(("patch", "result"), [
    ([{"op": "add", "path": "/a/c", "value": 3}], {"a": {"b": 1, "c": 3}, "l": [1, 2]}),
    ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {"b": 1}, "l": [1, 2, 3]}),
    ([{"op": "add", "path": "/l/0", "value": 0}], {"a": {"b": 1}, "l": [0, 1, 2]}),
    ([{"op": "remove", "path": "/a/b"}], {"a": {}, "l": [1, 2]}),
    ([{"op": "remove", "path": "/l/-1"}], {"a": {"b": 1}, "l": [1]}),
    ([{"op": "replace", "path": "/a/b", "value": None}], {"a": {"b": None}, "l": [1, 2]}),
    ([{"op": "move", "from": "/a/b", "path": "/x~1y"}], {"a": {}, "l": [1, 2], "x/y": 1}),
    ([{"op": "copy", "from": "/l", "path": "/a/b"}], {"a": {"b": [1, 2]}, "l": [1, 2]}),
    ([{"op": "test", "path": "/a", "value": {"b": 1}}, {"op": "test", "path": "/no", "value": None}],
     {"a": {"b": 1}, "l": [1, 2]}),
])
def test_json_patch(patch, result):
    document = {"a": {"b": 1}, "l": [1, 2]}
    before = copy.deepcopy((document, patch))
    assert jsonpatch.apply(document, patch) == result
    assert (document, patch) == before


@pytest.mark.parametrize("operation", [
    {"op": "remove", "path": "/x"}, {"op": "replace", "path": "/x", "value": 1},
    {"op": "add", "path": "/x/y", "value": 1},
    {"op": "test", "path": "/a", "value": 1}, {"op": "nope", "path": "/a"}, {"op": "add", "path": "", "value": {}},
    {"op": "add", "path": "/l/9", "value": 1}, {"op": "remove", "path": "/l/x"}, {"op": "add", "path": "/a/x"},
    {"op": "copy", "from": "/x", "path": "/y"}, {"op": "test", "path": "/b", "value": 1},
])
def test_json_patch_fails_as_a_whole(operation):
    with pytest.raises(Invalid) as refusal:
        jsonpatch.apply({"a": {}, "l": [1], "b": True}, [{"op": "add", "path": "/c", "value": 1}, operation])
    assert refusal.value.message == "the server rejected our request due to an error in our request"


def test_json_patch_is_bounded():
    with pytest.raises(RequestEntityTooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        jsonpatch.apply({}, [{}] * 10_001)
    doubling = [{"op": "copy", "from": "/a", "path": f"/a/{n}"} for n in range(40)]
    with pytest.raises(Invalid):
        jsonpatch.apply({"a": {"x": "y" * 1000}}, doubling)
    with pytest.raises(BadRequest):
        jsonpatch.apply({}, {"op": "add"})


@pytest.mark.parametrize(("target", "patch", "result"), [  # RFC 7386, appendix A
    ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}), ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}), ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), (["a", "b"], ["c", "d"], ["c", "d"]), ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}), ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
])
def test_merge_patch(target, patch, result):
    before = copy.deepcopy((target, patch))
    assert mergepatch.apply(target, patch) == result
    assert (target, patch) == before


def pod(*containers, **spec):
    return {"spec": {"containers": [*containers]} | spec}


def named(*names):
    return [{"name": name} for name in names]


@pytest.mark.parametrize(("obj", "patch", "result"), [
    # merged by name, new ones first, as upstream does
    (pod({"name": "a", "image": "1"}), pod({"name": "a", "image": "2"}), pod({"name": "a", "image": "2"})),
    (pod(*named("a")), pod(*named("b")), pod(*named("b", "a"))),
    (pod(*named("a", "b")), pod({"name": "a", "$patch": "delete"}), pod(*named("b"))),
    (pod(*named("a", "b")), pod({"$patch": "replace"}, *named("c")), pod(*named("c"))),
    # an order, with the server's own item kept before what it stood before
    (pod(*named("a", "x", "b")), {"spec": {"$setElementOrder/containers": named("b", "a")}},
     pod(*named("x", "b", "a"))),
    (pod(*named("x", "a")), {"spec": {"$setElementOrder/containers": named("a", "b"), "containers": named("b")}},
     pod(*named("x", "a", "b"))),
    (pod(*named("a", "b", "d")), {"spec": {"$setElementOrder/containers": named("b", "c"), "containers": [
        {"name": "c"}, {"name": "a", "$patch": "delete"}]}}, pod(*named("b", "d", "c"))),
    # atomic lists and maps are replaced or merged as declared
    (pod(tolerations=[{"key": "a"}]), {"spec": {"tolerations": [{"key": "b"}]}}, pod(tolerations=[{"key": "b"}])),
    (pod(nodeSelector={"a": "1", "b": "2"}), {"spec": {"nodeSelector": {"a": None, "c": "3"}}},
     pod(nodeSelector={"b": "2", "c": "3"})),
    (pod(nodeSelector={"a": "1"}), {"spec": {"nodeSelector": {"$patch": "replace", "c": "3"}}},
     pod(nodeSelector={"c": "3"})),
    (pod(securityContext={"runAsUser": 1}), {"spec": {"securityContext": {"$patch": "delete"}}},
     pod(securityContext={})),
    # unions
    (pod(volumes=[{"name": "v", "emptyDir": {}}]),
     {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}},
     pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}])),
    # what has nothing to merge with loses its directives
    ({}, {"spec": {"containers": [{"name": "a", "$patch": "delete"}, {"name": "b", "image": None}]}},
     {"spec": {"containers": named("b")}}),
])
def test_strategic_merge(obj, patch, result):
    before = copy.deepcopy((obj, patch))
    assert strategicpatch.apply(obj, patch, POD) == result
    assert (obj, patch) == before


def test_lists_of_scalars():
    obj = {"metadata": {"finalizers": ["a", "b"]}}
    assert strategicpatch.apply(obj, {"metadata": {"finalizers": ["c", "a"]}}, POD) == {
        "metadata": {"finalizers": ["c", "a", "b"]}}
    assert strategicpatch.apply(obj, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}, POD) == {
        "metadata": {"finalizers": ["b"]}}
    both = {"metadata": {"$setElementOrder/finalizers": ["c", "b"], "$deleteFromPrimitiveList/finalizers": ["a"],
                         "finalizers": ["c"]}}
    assert strategicpatch.apply(obj, both, POD) == {"metadata": {"finalizers": ["c", "b"]}}


def test_service_ports_merge_by_port():
    obj = {"spec": {"ports": [{"port": 80, "nodePort": 30000}]}}
    assert strategicpatch.apply(obj, {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}, SERVICE) == {
        "spec": {"ports": [{"port": 80, "nodePort": 30000, "targetPort": 8080}]}}


def test_rollout_restart_and_undo():
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, "template": {}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"},
                      "template": {"metadata": {"annotations": {"a": "b"}}}}}
    assert strategicpatch.apply(obj, patch, DEPLOYMENT) == {"spec": {
        "strategy": {"type": "Recreate"}, "template": {"metadata": {"annotations": {"a": "b"}}}}}


@pytest.mark.parametrize(("patch", "error", "message"), [
    (pod({"image": "x"}), BadRequest, "does not contain declared merge key: name"),
    ({"spec": {"$patch": "odd"}}, BadRequest, "unknown patch type: odd in map"),
    (pod({"name": "a", "$patch": "merge"}), BadRequest, "merging lists cannot yet be specified in the patch"),
    ({"spec": {"$setElementOrder/containers": named("b"), "containers": named("c")}}, BadRequest,
     "The order in patch list"),
    ({"spec": {"$retainKeys": ["a"], "b": 1}}, Invalid, "the server rejected our request"),
    ([], BadRequest, "invalid JSON document"),
])
def test_strategic_merge_refusals(patch, error, message):
    with pytest.raises(error, match=message.replace("(", "\\(")):
        strategicpatch.apply(pod(*named("a", "b")), patch, POD)


_CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcd")}, optional={
        "image": st.sampled_from("xyz"), "args": st.lists(st.sampled_from("pq"), max_size=2)}),
    unique_by=lambda c: c["name"], max_size=4)
_PODS = st.builds(lambda c, n, labels: {"metadata": {"labels": labels}, "spec": {"containers": c, "nodeSelector": n}},
                  _CONTAINERS, st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")),
                  st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")))


@given(_PODS, _PODS)
def test_a_strategic_merge_applied_twice_changes_nothing_more(obj, patch):
    once = strategicpatch.apply(obj, patch, POD)
    assert strategicpatch.apply(once, patch, POD) == once
    names = [c["name"] for c in once["spec"]["containers"]]
    assert set(names) == {c["name"] for o in (obj, patch) for c in o["spec"]["containers"]}
    assert len(names) == len(set(names))


@given(_PODS)
def test_an_object_is_a_patch_that_changes_itself_not(obj):
    assert strategicpatch.apply(obj, obj, POD) == obj
    assert mergepatch.apply(obj, obj) == obj
