"""Spreading and pod affinity: which node, given where other pods are."""

from __future__ import annotations

from typing import Any

from tests.unit.scheduler.make import chosen, cluster, node, pod, why_not

Object = dict[str, Any]

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
WEB = {"app": "web"}


def zoned(*extra: Object, pods: list[Object]) -> Any:
    return cluster(node("a1", labels={ZONE: "a"}), node("a2", labels={ZONE: "a"}), node("b1", labels={ZONE: "b"}),
                   *extra, pods=pods)


def spread(key: str, skew: int = 1, when: str = "DoNotSchedule", **more: Any) -> Object:
    constraint = {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when,
                  "labelSelector": {"matchLabels": WEB}}
    return pod("new", labels=WEB, topologySpreadConstraints=[constraint | more])


def test_the_emptier_zone_must_be_taken() -> None:
    state = zoned(pods=[pod("x", labels=WEB, on="a1")])
    assert chosen(state, spread(ZONE)) == "b1"
    crowded = zoned(pods=[pod("x", labels=WEB, on="a1"), pod("big", cpu="4", on="b1")])
    assert "didn't match pod topology spread constraints" in why_not(
        crowded, spread(ZONE) | {"spec": spread(ZONE)["spec"] | {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}})


def test_more_skew_allows_more() -> None:
    state = zoned(pods=[pod("x", labels=WEB, on="a1"), pod("big", cpu="3", on="b1"), pod("b", cpu="3", on="a1")])
    assert chosen(state, spread(ZONE, 2)) == "a2"


def test_a_node_without_the_label_is_out_when_it_must_and_last_when_it_should() -> None:
    state = cluster(node("n1"), node("n2", labels={ZONE: "a"}), pods=[pod("x", labels=WEB, on="n2")])
    assert chosen(state, spread(ZONE)) == "n2"
    assert "(missing required label)" in why_not(cluster(node("n1")), spread(ZONE))


def test_terminating_pods_and_other_namespaces_do_not_count() -> None:
    ending = pod("x", labels=WEB, on="a1")
    ending["metadata"]["deletionTimestamp"] = "2026-11-22T15:00:00Z"
    state = zoned(pods=[ending, pod("y", labels=WEB, on="a2", namespace="other"), pod("z", labels=WEB, on="b1")])
    assert chosen(state, spread(ZONE)) in ("a1", "a2")


def test_min_domains_make_missing_places_count_as_empty() -> None:
    state = zoned(pods=[pod("x", labels=WEB, on="a1"), pod("y", labels=WEB, on="b1")])
    assert chosen(state, spread(ZONE)) in ("a1", "a2", "b1")
    assert "spread constraints" in why_not(state, spread(ZONE, minDomains=3))


def test_a_node_selector_narrows_the_places() -> None:
    state = zoned(node("c1", labels={ZONE: "c", "disk": "hdd"}), pods=[
        pod("x", labels=WEB, on="a1"), pod("y", labels=WEB, on="b1")])
    narrowed = spread(ZONE)
    narrowed["spec"]["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "DoesNotExist"}]}]}}}
    assert chosen(state, narrowed) in ("a1", "a2", "b1")  # zone c is empty, but not for this pod


def test_pods_of_a_service_spread_by_default() -> None:
    pods = [pod("x", labels=WEB, on="n1"), pod("filler", labels={"app": "other"}, cpu="100m", memory="200Mi", on="n2")]
    state = cluster(node("n1"), node("n2"), pods=pods, selectors=[{"matchLabels": WEB}])
    assert chosen(state, pod("new", labels=WEB)) == "n2"


def near(key: str, labels: dict[str, str], kind: str = "podAffinity", *, weight: int = 0) -> Object:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": labels}}
    if weight:
        return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": weight, "podAffinityTerm": term}]}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_near_another_pod() -> None:
    state = zoned(pods=[pod("db", labels={"app": "db"}, on="b1")])
    assert chosen(state, pod("new", affinity=near(ZONE, {"app": "db"}))) == "b1"
    assert "didn't match pod affinity rules" in why_not(state, pod("new", affinity=near(ZONE, {"app": "none"})))


def test_the_first_of_a_group_may_start_anywhere() -> None:
    state = zoned(pods=[])
    first = pod("new", labels=WEB, affinity=near(ZONE, WEB))
    assert chosen(state, first)
    state.set_pod(first | {"spec": first["spec"] | {"nodeName": "b1"}})
    assert chosen(state, pod("next", labels=WEB, affinity=near(ZONE, WEB))) == "b1"


def test_away_from_each_other_in_both_directions() -> None:
    away = near(HOST, WEB, "podAntiAffinity")
    state = cluster(node("n1"), node("n2"), pods=[pod("x", labels=WEB, on="n1", affinity=away)])
    assert chosen(state, pod("new", labels=WEB, affinity=away)) == "n2"
    assert chosen(state, pod("guest", labels=WEB)) == "n2"  # the one that is there keeps it away
    alone = cluster(node("n1"), pods=[pod("x", labels=WEB, on="n1", affinity=away)])
    assert "didn't satisfy existing pods anti-affinity rules" in why_not(alone, pod("guest", labels=WEB))
    calm = cluster(node("n1"), pods=[pod("x", labels=WEB, on="n1")])
    assert "didn't match pod anti-affinity rules" in why_not(calm, pod("new", labels=WEB, affinity=away))


def test_liking_is_only_a_preference_and_mutual() -> None:
    state = zoned(pods=[pod("db", labels={"app": "db"}, on="b1")])
    assert chosen(state, pod("new", affinity=near(ZONE, {"app": "db"}, weight=100))) == "b1"
    fan = pod("fan", labels={"app": "fan"}, on="b1", affinity=near(ZONE, WEB, weight=100))
    assert chosen(zoned(pods=[fan]), pod("new", labels=WEB)) == "b1"


def test_counts_follow_the_pods() -> None:
    state = zoned(pods=[pod("x", labels=WEB, on="a1")])
    assert chosen(state, spread(ZONE)) == "b1"
    state.set_pod(pod("y", labels=WEB, on="b1"))
    state.set_pod(pod("z", labels=WEB, on="b1"))
    assert chosen(state, spread(ZONE)) in ("a1", "a2")
    state.remove_pod("uid-default-y")
    state.remove_pod("uid-default-z")
    assert chosen(state, spread(ZONE)) == "b1"
    state.set_node(node("b1", labels={ZONE: "a"}))  # the zone is gone with its only node
    assert chosen(state, spread(ZONE)) in ("a1", "a2", "b1")
