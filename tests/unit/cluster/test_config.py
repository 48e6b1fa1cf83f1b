"""Slots, names and what is kept of a cluster."""

import socket

import pytest

from sampan.cluster import config as configs
from sampan.cluster.config import ClusterError


def test_the_first_cluster_has_kubeadms_ranges(tmp_path, monkeypatch):
    monkeypatch.setattr(configs, "_port_is_free", lambda port: True)  # another test's cluster may be running
    config = configs.create("default", str(tmp_path))
    assert (config.pod_cidr, config.service_cidr) == ("10.244.0.0/16", "10.96.0.0/16")
    assert (config.kubernetes_ip, config.dns_ip) == ("10.96.0.1", "10.96.0.10")
    assert (config.host_address, config.node_address("node-1")) == ("172.29.0.1", "172.29.0.2")
    assert configs.load("default", str(tmp_path)) == config


def test_clusters_share_no_range_and_no_port(tmp_path):
    first, second = (configs.create(name, str(tmp_path)) for name in ("one", "two"))
    for field in ("slot", "api_port", "pod_cidr", "service_cidr", "link_cidr"):
        assert getattr(first, field) != getattr(second, field)
    assert [c.name for c in configs.existing(str(tmp_path))] == ["one", "two"]


def test_a_taken_port_is_left_to_its_owner(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not configs._port_is_free(port)


def test_a_range_that_is_full_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(configs, "_port_is_free", lambda port: False)
    with pytest.raises(ClusterError, match="no free port from 6443 to 6506"):
        configs.create("one", str(tmp_path))


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "images", "../x", "a" * 33, "a/b"])
def test_names_that_cannot_be_paths_and_host_names(name):
    with pytest.raises(ClusterError, match="can't name a cluster"):
        configs.check_name(name)


def test_what_is_asked_for_again_is_changed_and_the_rest_stays(tmp_path):
    config = configs.create("default", str(tmp_path), proxy_mode="iptables", egress=False)
    changed = configs.change(config, proxy_mode="nftables")
    assert (changed.proxy_mode, changed.egress) == ("nftables", False)
    assert configs.load("default", str(tmp_path)) == changed


def test_a_damaged_file_says_what_to_do(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cluster.json").write_text("{")
    with pytest.raises(ClusterError, match="sampan down --purge"):
        configs.load("broken", str(tmp_path))
    assert configs.existing(str(tmp_path)) == []
