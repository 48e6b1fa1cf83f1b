"""The cluster as authentication and authorization see it, without a store."""

import pytest

from sampan.api.meta import name, namespace


class FakeObjects:
    """``live`` is the store, ``kept`` the memory; ``put(lag=True)`` reaches only the store."""

    def __init__(self):
        self.live, self.kept, self.listeners, self.reads = {}, {}, {}, []

    def put(self, resource, obj, lag=False):
        key = (resource, namespace(obj), name(obj))
        old = self.kept.get(key)
        self.live[key] = obj
        if not lag:
            self.kept[key] = obj
            self._tell(resource, old, obj)

    def drop(self, resource, obj):
        key = (resource, namespace(obj), name(obj))
        self.live.pop(key, None)
        self._tell(resource, self.kept.pop(key), None)

    def _tell(self, resource, old, new):
        for listener in self.listeners.get(resource, ()):
            listener(old, new)

    def get(self, resource, name, namespace=""):
        return self.kept.get((resource, namespace, name))

    def list(self, resource, namespace=""):
        return [o for (r, where, _), o in self.kept.items() if r == resource and namespace in ("", where)]

    def on_change(self, resource, listener):
        self.listeners.setdefault(resource, []).append(listener)

    async def read(self, resource, name, namespace=""):
        self.reads.append((resource.plural, namespace, name))
        return self.live.get((resource, namespace, name))


@pytest.fixture
def objects():
    return FakeObjects()
