"""Nothing new in a namespace that is missing or going."""

import pytest

from sampan.api.errors import Forbidden, NotFound
from sampan.api.resources import CONFIGMAPS, LOCALSUBJECTACCESSREVIEWS, NAMESPACES, NODES
from sampan.apiserver.admission.namespace_lifecycle import NamespaceLifecycle

OBJ = {"metadata": {"name": "x"}}


async def test_a_missing_namespace(send):
    with pytest.raises(NotFound) as missing:
        await send(NamespaceLifecycle(), "CREATE", CONFIGMAPS, OBJ, namespace="nope")
    assert missing.value.message == 'namespaces "nope" not found'


@pytest.mark.parametrize("going", [{"status": {"phase": "Terminating"}}, {"metadata": {"deletionTimestamp": "x"}}])
async def test_a_namespace_that_is_going(send, server, going):
    server.put(NAMESPACES, "old", **going)
    with pytest.raises(Forbidden) as refused:
        await send(NamespaceLifecycle(), "CREATE", CONFIGMAPS, OBJ, namespace="old")
    assert refused.value.message == ('configmaps "x" is forbidden: unable to create new content in namespace old '
                                     "because it is being terminated")
    assert refused.value.causes == [{"reason": "NamespaceTerminating", "field": "metadata.namespace",
                                     "message": "namespace old is being terminated"}]


@pytest.mark.parametrize("operation,resource,namespace", [
    ("CREATE", CONFIGMAPS, "default"), ("UPDATE", CONFIGMAPS, "nope"), ("DELETE", CONFIGMAPS, "nope"),
    ("CREATE", NODES, ""), ("CREATE", NAMESPACES, ""), ("CREATE", LOCALSUBJECTACCESSREVIEWS, "nope"),
])
async def test_what_passes(send, operation, resource, namespace):
    assert await send(NamespaceLifecycle(), operation, resource, OBJ, namespace=namespace) == OBJ


@pytest.mark.parametrize("name,passes", [("default", False), ("kube-system", False), ("kube-public", False),
                                         ("a", True)])
async def test_three_are_immortal(send, name, passes):
    if passes:
        await send(NamespaceLifecycle(), "DELETE", NAMESPACES, name=name)
        return
    with pytest.raises(Forbidden, match=f'namespaces "{name}" is forbidden: this namespace may not be deleted'):
        await send(NamespaceLifecycle(), "DELETE", NAMESPACES, name=name)
