"""Which namespaces a pod has of its own, and which sysctls stay inside them."""

import pytest

from sampan.runtime.base import RuntimeFailure, SandboxConfig
from sampan.runtime.native.namespaces import check_sysctl, held, wanted

ALL = dict.fromkeys(("network", "ipc", "uts"))


def test_a_pod_has_what_it_does_not_share_with_the_node():
    assert wanted(SandboxConfig("p", "n", "u", hostname="p")) == ["network", "ipc", "uts"]
    assert wanted(SandboxConfig("p", "n", "u", network="node", hostname="")) == ["ipc"]
    assert wanted(SandboxConfig("p", "n", "u", network="node", ipc="node", pid="node")) == []


@pytest.mark.parametrize("name", ["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.domainname"])
def test_a_sysctl_needs_the_namespace_that_keeps_it_from_the_node(name):
    check_sysctl(name, ALL)
    with pytest.raises(RuntimeFailure, match=f"sysctl '{name}' is not in a separate kernel namespace"):
        check_sysctl(name, {})


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.hostname", "kernel.panic", "net...vm.swappiness", "net./x"])
def test_what_belongs_to_the_node_is_refused(name):
    with pytest.raises(RuntimeFailure, match="not in a separate kernel namespace"):
        check_sysctl(name, ALL)


def test_a_file_alone_holds_nothing(tmp_path):
    (tmp_path / "pin").touch()
    assert not held(tmp_path / "pin") and not held(tmp_path / "none")
