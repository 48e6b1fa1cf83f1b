"""The API server alone: reads, durable writes, watches. A bare aiohttp server and one fsync stand beside."""

from __future__ import annotations

import json

import uvloop

from bench import etcd
from bench.load import Target, creates, watch_fan_out, wrk
from bench.report import Figure, at_least, at_most, median
from bench.running import cluster
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
    lone = uvloop.run(creates(target, PODS, lambda n: pod(10000 + n), clients=1, total=500))
    many = uvloop.run(creates(target, PODS, pod, clients=32, total=LISTED_PODS - 500))
    return [
        at_least("durable CREATE of pods, 32 clients", many, 1700, "/s",
                 f"{fsync}; etcd alone {beside['puts, 32 clients']:,.0f} puts/s"),
        at_least("durable CREATE of pods, 1 client", lone, 445, "/s",
                 f"{fsync}; etcd alone {beside['puts, 1 client']:,.0f} puts/s"),
    ]


def _reads(one: Cluster, target: Target, beside: dict[str, float]) -> list[Figure]:
    body = len(one.kubectl("1.37")("get", "--raw", f"{PODS}/pod-00001").out)
    pki = one.data_dir / one.name / "server" / "pki"
    with bare_aiohttp(target.port + 1000, pki / "apiserver.crt", pki / "apiserver.key", body) as url:
        bare, _ = wrk(url, connections=32, seconds=READ_SECONDS)
    got, _ = wrk(f"{target.url}{PODS}/pod-00001", connections=32, seconds=READ_SECONDS, token=target.token)
    listed, half = wrk(f"{target.url}{PODS}", connections=4, seconds=READ_SECONDS, token=target.token)
    return [
        at_least("GET of one pod, 32 clients over TLS", got, 0.47 * bare, "/s", f"bare aiohttp {bare:,.0f}/s"),
        at_least(f"LIST of {LISTED_PODS} pods, 4 clients", listed, 42, "/s",
                 f"p50 {half:.0f} ms; etcd alone {beside['ranges of 5,000']:.1f} ranges/s"),
    ]


def _watches(target: Target) -> list[Figure]:
    def write(number: int) -> tuple[str, str, bytes]:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"watched-{number}"},
                "data": {"round": str(number)}}
        return "POST", CONFIGMAPS, json.dumps(body).encode()

    times = uvloop.run(watch_fan_out(target, CONFIGMAPS, write, watchers=WATCHERS, writes=WATCHED_WRITES))
    return [at_most(f"one write to {WATCHERS} watchers, last one served (client included)", median(times), 50, "ms")]
