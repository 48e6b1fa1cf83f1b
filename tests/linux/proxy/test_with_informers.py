"""Proxy and DNS on one set of real informers, in a namespace of their own: an object changes, the kernel follows."""

import asyncio
import socket
import subprocess
import time

import dnslib
import pytest

from sampan.api.resources import ENDPOINTSLICES, SERVICES
from sampan.client.informer import Informers
from sampan.dns.run import Dns, DnsConfig
from sampan.dns.service import ensure
from sampan.network import netns
from sampan.proxy.base import ProxyConfig
from sampan.proxy.run import Proxy
from sampan.testing.fake_client import FakeClient

pytestmark = pytest.mark.linux

DNS = "10.96.0.10"
CONFIG = ProxyConfig("node-1", ("127.0.0.1",), "10.244.0.0/16", frozenset({DNS}))


def service(address="10.96.0.20"):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"clusterIP": address, "ports": [{"port": 80}]}}


def endpoint_slice(address):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"port": 8080}], "endpoints": [{"addresses": [address]}]}


def listing(what):
    return subprocess.run(["nft", "list", *what.split()], capture_output=True, text=True, check=True).stdout


def wait(condition):
    """The kernel tells nobody that rules have changed, so look again and again. Runs in a thread."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


async def until(condition):
    await asyncio.to_thread(wait, condition)


def resolve(name):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(2)
        udp.connect((DNS, 53))
        udp.send(bytes(dnslib.DNSRecord.question(name).pack()))
        return [str(rr.rdata) for rr in dnslib.DNSRecord.parse(udp.recv(512)).rr]


async def scenario():
    client = FakeClient(asyncio.get_running_loop().time)
    await ensure(client, DNS, {"node-1": "172.29.0.2"})
    client.put(SERVICES, service())
    client.put(ENDPOINTSLICES, endpoint_slice("10.244.0.5"))
    informers = Informers(client)
    proxy, dns = Proxy(informers, CONFIG, repair_seconds=0.05), Dns(informers, DnsConfig(DNS, upstreams=()))
    await dns.start()
    await proxy.start()
    await informers.start()
    try:
        await asyncio.gather(proxy.synced(), dns.synced())
        assert proxy.mode == "nftables"
        assert "10.96.0.20 . 80 . 0 : 10.244.0.5 . 8080" in listing("map ip kube-proxy tcp-endpoints")
        assert DNS not in listing("table ip kube-proxy")
        assert await asyncio.to_thread(resolve, "web.default.svc.cluster.local") == ["10.96.0.20"]
        assert await asyncio.to_thread(resolve, "kube-dns.kube-system.svc.cluster.local") == [DNS]

        client.put(ENDPOINTSLICES, endpoint_slice("10.244.0.6"))
        await until(lambda: ": 10.244.0.6 . 8080" in listing("map ip kube-proxy tcp-endpoints"))
        await asyncio.to_thread(subprocess.run, ["nft", "flush", "ruleset"], check=True)
        await until(lambda: "kube-proxy" in listing("tables"))  # repaired
        await client.delete(SERVICES, "web", "default")
        await until(lambda: "10.96.0.20" not in listing("table ip kube-proxy"))
        assert await asyncio.to_thread(resolve, "web.default.svc.cluster.local") == []
    finally:
        await proxy.close(remove=True)
        await dns.close()
        await informers.close()
    assert listing("tables") == ""


def test_objects_lead_and_the_kernel_follows(tmp_path):
    path = tmp_path / "node"
    netns.pin(path)
    try:
        netns.run_in(path, lambda: asyncio.run(scenario()))
    finally:
        netns.unpin(path)
