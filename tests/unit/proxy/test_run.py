"""The loop around a back end, with an informer and a back end that are plain Python."""

import asyncio

import pytest

from sampan.proxy import modes, run
from sampan.proxy.base import ProxyConfig, ProxyError
from sampan.proxy.modes import Choice, check_mode
from sampan.proxy.run import Proxy

CONFIG = ProxyConfig("node-1", ("172.29.0.2",))


class FakeInformer:
    def __init__(self):
        self.objects, self.handlers, self.listed = {}, [], asyncio.Event()
        self.index = None

    def add_index(self, name, function):
        self.index = function

    def by_index(self, name, value):
        return [obj for obj in self.objects.values() if value in self.index(obj)]

    def get(self, key):
        return self.objects.get(key)

    def list(self):
        return list(self.objects.values())

    def on_change(self, handler):
        self.handlers.append(handler)

    async def synced(self):
        await self.listed.wait()

    def put(self, obj):
        key = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        old = self.objects.get(key)
        self.objects[key] = obj
        for handler in self.handlers:
            handler(old, obj)

    def delete(self, key):
        old = self.objects.pop(key)
        for handler in self.handlers:
            handler(old, None)


class FakeInformers:
    def __init__(self):
        self.by_plural = {}

    def informer(self, resource):
        return self.by_plural.setdefault(resource.plural, FakeInformer())


class FakeProxier:
    def __init__(self):
        self.table, self.calls, self.intact, self.trouble = {}, asyncio.Queue(), True, []
        self.loop = asyncio.get_running_loop()

    def _done(self, name):
        self.loop.call_soon_threadsafe(self.calls.put_nowait, name)

    def replace(self, table):
        self.table = dict(table)
        self.intact = True
        self._done("replace")

    def update(self, changes):
        if self.trouble:
            raise self.trouble.pop()
        for key, ports in changes.items():
            if ports:
                self.table[key] = ports
            else:
                del self.table[key]
        self._done("update")

    def is_intact(self):
        return self.intact

    def remove(self):
        self._done("remove")

    def close(self):
        pass


def service(name, port=80):
    return {"metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": port}]}}


def endpoint_slice(name):
    return {"metadata": {"name": f"{name}-x", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.244.0.5"]}]}


@pytest.fixture
async def world(monkeypatch):
    informers, proxier = FakeInformers(), FakeProxier()
    monkeypatch.setattr(run, "open_proxier", lambda mode, config: Choice(proxier, "fake", ""))
    monkeypatch.setattr(run, "RETRY_SECONDS", 0)
    proxy = Proxy(informers, CONFIG, repair_seconds=0.02)
    await proxy.start()
    yield informers.by_plural["services"], informers.by_plural["endpointslices"], proxier, proxy
    await proxy.close()


async def test_nothing_is_forwarded_before_both_lists_are_there(world):
    services, slices, proxier, proxy = world
    services.put(service("web"))
    services.listed.set()
    await asyncio.sleep(0)
    assert proxier.calls.empty()
    slices.listed.set()
    await proxy.synced()
    assert set(proxier.table) == {"default/web"}


async def test_changes_reach_the_back_end(world):
    services, slices, proxier, proxy = world
    services.listed.set()
    slices.listed.set()
    assert await proxier.calls.get() == "replace"
    services.put(service("web"))
    assert await proxier.calls.get() == "update"
    slices.put(endpoint_slice("web"))
    assert await proxier.calls.get() == "update"
    assert [e.address for e in proxier.table["default/web"][0].endpoints] == ["10.244.0.5"]
    services.delete("default/web")
    assert await proxier.calls.get() == "update"
    assert proxier.table == {}


async def test_what_changes_nothing_is_not_sent(world):
    services, slices, proxier, proxy = world
    services.put(service("web"))
    services.listed.set()
    slices.listed.set()
    await proxier.calls.get()
    services.put(service("web"))
    services.put(service("other"))
    assert await proxier.calls.get() == "update"
    assert proxier.calls.empty()


async def test_trouble_is_repaired_by_a_replacement(world):
    services, slices, proxier, proxy = world
    services.listed.set()
    slices.listed.set()
    await proxier.calls.get()
    proxier.trouble.append(OSError("nft: no"))
    services.put(service("web"))
    assert await proxier.calls.get() == "replace"
    assert set(proxier.table) == {"default/web"}


async def test_foreign_changes_are_repaired(world):
    services, slices, proxier, proxy = world
    services.listed.set()
    slices.listed.set()
    await proxier.calls.get()
    proxier.intact = False
    assert await proxier.calls.get() == "replace"


def test_unknown_modes_are_refused_by_name():
    with pytest.raises(ProxyError, match="--proxy-mode ipvs is not there yet"):
        check_mode("ipvs")
    with pytest.raises(ProxyError, match="--proxy-mode warp is unknown"):
        check_mode("warp")


def test_auto_falls_back_with_the_reason(monkeypatch):
    def missing(config):
        raise ProxyError("nftables is not installed")

    monkeypatch.setattr(modes, "_nftables", missing)
    monkeypatch.setattr(modes, "_iptables", lambda config: Choice(object(), "iptables"))
    assert modes.open_proxier("auto", CONFIG)[1:] == ("iptables", "nftables is not installed")
    with pytest.raises(ProxyError, match="not installed"):
        modes.open_proxier("nftables", CONFIG)
