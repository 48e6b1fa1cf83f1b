"""Volumes on a real directory, without mounts."""

import base64
import os

import pytest

from sampan.kubelet.volumes import atomic_writer
from sampan.kubelet.volumes.base import File, VolumeError
from sampan.kubelet.volumes.pod_volumes import PodVolumes, Providers
from sampan.kubelet.volumes.subpath import bind_subpath
from tests.unit.kubelet.pods import NoMounts, container, make_pod


class Objects:
    def __init__(self):
        self.config_maps = {"settings": {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AAE="}}}
        self.secrets = {"keys": {"data": {"token": base64.b64encode(b"s3cret").decode()}}}

    async def config_map(self, namespace, name):
        return self.config_maps.get(name)

    async def secret(self, namespace, name):
        return self.secrets.get(name)


class Fixture:
    def __init__(self, directory):
        self.objects = Objects()
        self.tokens = 0
        self.volumes = PodVolumes(directory, Providers(self.objects, self.token, NoMounts(), {"cpu": "2"}))

    async def token(self, pod, audience, seconds):
        self.tokens += 1
        return f"token-{audience}-{seconds}-{self.tokens}"

    async def set_up(self, **source):
        pod = make_pod(containers=[container("app", volumeMounts=[{"name": "v", "mountPath": "/v"}])],
                       volumes=[{"name": "v", **source}], meta={"labels": {"tier": "db"}})
        await self.volumes.set_up(pod)
        return pod, self.volumes.paths["v"]


@pytest.fixture
def pod_volumes(tmp_path):
    return Fixture(tmp_path / "pod")


def read(*parts):
    with open(os.path.join(*parts), "rb") as file:
        return file.read()


def mode(*parts):
    return oct(os.stat(os.path.join(*parts)).st_mode & 0o7777)


async def test_config_map_files_are_links_into_one_swapped_directory(pod_volumes):
    _, path = await pod_volumes.set_up(configMap={"name": "settings", "defaultMode": 0o640})
    assert sorted(n for n in os.listdir(path) if not n.startswith("..")) == ["a", "b", "c"]
    assert os.readlink(os.path.join(path, "a")) == "..data/a"
    assert read(path, "c") == b"\x00\x01"
    assert mode(path, "a") == "0o640"


async def test_an_update_swaps_all_files_at_once_and_removes_what_is_gone(pod_volumes):
    pod, path = await pod_volumes.set_up(configMap={"name": "settings"})
    before = os.readlink(os.path.join(path, "..data"))
    pod_volumes.objects.config_maps["settings"] = {"data": {"a": "new"}}
    await pod_volumes.volumes.refresh(pod)
    assert read(path, "a") == b"new"
    assert "b" not in os.listdir(path)
    after = os.readlink(os.path.join(path, "..data"))
    assert after != before and before not in os.listdir(path)
    await pod_volumes.volumes.refresh(pod)
    assert os.readlink(os.path.join(path, "..data")) == after


async def test_items_choose_keys_paths_and_modes(pod_volumes):
    items = [{"key": "token", "path": "deep/er/t", "mode": 0o400}]
    _, path = await pod_volumes.set_up(secret={"secretName": "keys", "items": items})
    assert read(path, "deep", "er", "t") == b"s3cret"
    assert mode(path, "deep", "er", "t") == "0o400"


async def test_missing_objects(pod_volumes):
    with pytest.raises(VolumeError, match='MountVolume.SetUp failed for volume "v" : configmap "none" not found'):
        await pod_volumes.set_up(configMap={"name": "none"})
    _, path = await pod_volumes.set_up(configMap={"name": "none", "optional": True})
    assert [n for n in os.listdir(path) if not n.startswith("..")] == []


async def test_missing_key_and_escaping_path_are_refused(pod_volumes):
    with pytest.raises(VolumeError, match="references non-existent config key: zz"):
        await pod_volumes.set_up(configMap={"name": "settings", "items": [{"key": "zz", "path": "p"}]})
    with pytest.raises(VolumeError, match="must be relative"):
        await pod_volumes.set_up(configMap={"name": "settings", "items": [{"key": "a", "path": "../../etc/x"}]})


async def test_projected_token_ca_and_namespace(pod_volumes):
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "settings", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    _, path = await pod_volumes.set_up(projected={"sources": sources, "defaultMode": 0o644})
    assert read(path, "token") == b"token--3607-1"
    assert (read(path, "ca.crt"), read(path, "namespace")) == (b"1", b"default")


async def test_cluster_trust_bundle_is_refused_by_name(pod_volumes):
    with pytest.raises(VolumeError, match="projected volume source clusterTrustBundle is not supported"):
        await pod_volumes.set_up(projected={"sources": [{"clusterTrustBundle": {"path": "x"}}]})


async def test_downward_api_labels(pod_volumes):
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    pod, path = await pod_volumes.set_up(downwardAPI={"items": items})
    assert read(path, "labels") == b'tier="db"'
    pod["metadata"]["labels"]["tier"] = "web"
    await pod_volumes.volumes.refresh(pod)
    assert read(path, "labels") == b'tier="web"'


async def test_empty_dir_keeps_its_files_across_an_agent_restart(pod_volumes):
    pod, path = await pod_volumes.set_up(emptyDir={})
    assert mode(path) == "0o777"
    os.mkdir(os.path.join(path, "kept"))
    again = PodVolumes(pod_volumes.volumes.directory, pod_volumes.volumes._providers)
    await again.set_up(pod)
    assert os.listdir(again.paths["v"]) == ["kept"]
    await again.tear_down()
    assert os.listdir(pod_volumes.volumes.directory) == []


@pytest.mark.parametrize(("kind", "exists"), [("Directory", True), ("File", False), ("Socket", False)])
async def test_host_path_type_is_checked(pod_volumes, tmp_path, kind, exists):
    source = {"path": str(tmp_path), "type": kind}
    if exists:
        assert (await pod_volumes.set_up(hostPath=source))[1] == str(tmp_path)
    else:
        with pytest.raises(VolumeError, match="hostPath type check failed"):
            await pod_volumes.set_up(hostPath=source)


def test_atomic_writer_reports_whether_anything_changed(tmp_path):
    files = {"a": File(b"1", 0o644)}
    assert atomic_writer.write(tmp_path, files, None)
    assert not atomic_writer.write(tmp_path, files, None)
    assert atomic_writer.write(tmp_path, {"a": File(b"2", 0o644)}, None)


class Binds(NoMounts):
    def __init__(self):
        self.sources = []

    def bind(self, source, target):
        self.sources.append(os.readlink(source))


def test_sub_path_is_made_and_opened_inside_the_volume(tmp_path):
    volume, binds = tmp_path / "volume", Binds()
    volume.mkdir()
    bind_subpath(binds, str(volume), "a/b", tmp_path / "target")
    assert binds.sources == [str(volume / "a" / "b")]


@pytest.mark.parametrize("sub_path", ["out/x", "out", "../x", "/etc"])
def test_sub_path_can_not_leave_the_volume(tmp_path, sub_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "out").symlink_to("/etc")
    with pytest.raises(VolumeError):
        bind_subpath(Binds(), str(volume), sub_path, tmp_path / "target")


def test_sub_path_may_be_a_file_behind_a_link_inside(tmp_path):
    volume, binds = tmp_path / "volume", Binds()
    (volume / "..v1").mkdir(parents=True)
    (volume / "..v1" / "key").write_text("x")
    (volume / "..data").symlink_to("..v1")
    (volume / "key").symlink_to("..data/key")
    bind_subpath(binds, str(volume), "key", tmp_path / "target")
    assert binds.sources == [str(volume / "..v1" / "key")]
    assert (tmp_path / "target").is_file()
