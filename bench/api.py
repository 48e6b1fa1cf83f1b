"""The API server alone: reads, durable writes, watches. A bare aiohttp server and one fsync stand beside."""

from __future__ import annotations

import json

import uvloop

from bench import etcd
from bench.load import Target, creates, watch_fan_out, wrk
from bench.report import Figure, at_least, at_most, median
from bench.running import Spent, cluster
from bench.yardstick import bare_aiohttp, fsync_milliseconds
from tests.e2e.cluster import Cluster

READ_SECONDS = 5
LISTED_PODS = 5000
CREATED = 3000
WATCHERS = 1000
WATCHED_WRITES = 10
PODS = "/api/v1/namespaces/default/pods"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def pod(number: int) -> bytes:
    """Some 3 KB once stored. Its scheduler does not exist, so nothing but the API server ever touches it."""
    env = [{"name": f"VARIABLE_{n}", "value": f"value-{n}" * 3} for n in range(10)]
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"pod-{number:05}", "labels": {"app": "bench", "number": str(number)}},
        "spec": {"schedulerName": "nobody", "containers": [
            {"name": "c", "image": "nginx", "env": env, "resources": {"requests": {"cpu": "1m"}}}]},
    }).encode()


def measure() -> list[Figure]:
    beside = etcd.summary()
    with cluster() as one:
        kubectl = one.kubectl("1.37")
        kubectl("create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin",
                "--serviceaccount=default:default")
        token = kubectl("create", "token", "default", "--duration=2h").out.strip()
        target = Target(int(kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
                            .out.rsplit(":", 1)[1]), token)
        return [*_writes(one, target, beside), *_reads(one, target, beside), *_watches(target)]


def _writes(one: Cluster, target: Target, beside: dict[str, float]) -> list[Figure]:
    fsync = f"one fsync {fsync_milliseconds(one.data_dir):.2f} ms"
    spent = Spent(one.pid("server"))
    lone = uvloop.run(creates(target, PODS, lambda n: pod(10000 + n), clients=1, total=500))
    lone_cost = spent.each(500)
    many = uvloop.run(creates(target, PODS, pod, clients=32, total=LISTED_PODS - 500))
    many_cost = spent.each(LISTED_PODS - 500)
    return [
        at_least("durable CREATE of pods, 32 clients", many, 1700, "/s",
                 f"{many_cost}; {fsync}; etcd alone {beside['puts, 32 clients']:,.0f} puts/s"),
        at_least("durable CREATE of pods, 1 client", lone, 445, "/s",
                 f"{lone_cost}; {fsync}; etcd alone {beside['puts, 1 client']:,.0f} puts/s"),
    ]


def _reads(one: Cluster, target: Target, beside: dict[str, float]) -> list[Figure]:
    kubectl, spent = one.kubectl("1.37"), Spent(one.pid("server"))
    bare, bare_cost = _bare(one, target, len(kubectl("get", "--raw", f"{PODS}/pod-00001").out), connections=32)
    floor, floor_cost = _bare(one, target, len(kubectl("get", "--raw", PODS).out), connections=4)
    spent.each(1)
    got, _ = wrk(f"{target.url}{PODS}/pod-00001", connections=32, seconds=READ_SECONDS, token=target.token)
    got_cost = spent.each(got * READ_SECONDS)
    listed, half = wrk(f"{target.url}{PODS}", connections=4, seconds=READ_SECONDS, token=target.token)
    listed_cost = spent.each(listed * READ_SECONDS)
    return [
        at_least("GET of one pod, 32 clients over TLS", got, 0.47 * bare, "/s",
                 f"{got_cost}; bare aiohttp {bare:,.0f}/s with {bare_cost}"),
        at_least(f"LIST of {LISTED_PODS} pods, 4 clients", listed, 42, "/s",
                 f"p50 {half:.0f} ms; {listed_cost}; as many bytes from bare aiohttp {floor:.1f}/s with {floor_cost}; "
                 f"etcd alone {beside['ranges of 5,000']:.1f} ranges/s"),
    ]


def _bare(one: Cluster, target: Target, body_bytes: int, *, connections: int) -> tuple[float, str]:
    """Requests a second of aiohttp alone, and what each costs it."""
    pki = one.data_dir / one.name / "server" / "pki"
    with bare_aiohttp(target.port + 1000, pki / "apiserver.crt", pki / "apiserver.key", body_bytes) as (url, pid):
        spent = Spent(pid)
        rate, _ = wrk(url, connections=connections, seconds=READ_SECONDS)
        return rate, spent.each(rate * READ_SECONDS)


def _watches(target: Target) -> list[Figure]:
    def write(number: int) -> tuple[str, str, bytes]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"watched-{number}"},
                "data": {"round": str(number)}}
        return "POST", CONFIGMAPS, json.dumps(body).encode()

    times = uvloop.run(watch_fan_out(target, CONFIGMAPS, write, watchers=WATCHERS, writes=WATCHED_WRITES))
    return [at_most(f"one write to {WATCHERS} watchers, last one served (client included)", median(times), 50, "ms")]
