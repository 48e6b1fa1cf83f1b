"""The image store: layers from hostile and ordinary tars, archives, tags, what may be removed when, Debian builds."""

# ruff: noqa: ASYNC110, ASYNC240  (a test has its loop for itself)

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import orjson
import pytest

from sampan.runtime.base import ContainerConfig, RuntimeFailure, SandboxConfig
from sampan.runtime.images.build import build_from_debian
from sampan.runtime.images.importing import import_archive
from sampan.runtime.images.rootfs import from_rootfs, image_config
from sampan.runtime.images.store import ImageStore
from sampan.runtime.images.unpack import unpack
from sampan.runtime.native import rootfs

pytestmark = pytest.mark.linux


def member(name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o644, **pax):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode, info.mtime = kind, link, len(data), mode, 1_000_000
    info.uid, info.gid, info.pax_headers = 7, 8, pax
    return info, data


def layer(*members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def add(store: ImageStore, *members) -> str:
    return store.add_layer(io.BytesIO(layer(*members)))


def image(store: ImageStore, layers: list[str], tag: str, **config) -> str:
    return store.add_image(image_config(config, layers), layers, [tag])


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "store")


def test_an_ordinary_layer(store):
    members = [
        member("./etc/", kind=tarfile.DIRTYPE, mode=0o750),
        member("./etc/file", b"hello", mode=0o4755, **{"SCHILY.xattr.user.x": "y"}),
        member("etc/link", kind=tarfile.SYMTYPE, link="/etc/file"),
        member("etc/hard", kind=tarfile.LNKTYPE, link="etc/file"),
        member("deep/er/fifo", kind=tarfile.FIFOTYPE),
    ]
    path = store.layer(add(store, *members))
    status = (path / "etc/file").stat()
    assert (path / "etc/file").read_bytes() == b"hello"
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_mtime) == (7, 8, 0o4755, 1_000_000)
    assert status.st_ino == (path / "etc/hard").stat().st_ino and os.readlink(path / "etc/link") == "/etc/file"
    assert os.getxattr(path / "etc/file", "user.x") == b"y"
    assert (path / "etc").stat().st_mtime == 1_000_000 and (path / "etc").stat().st_mode & 0o777 == 0o750
    assert (path / "deep/er/fifo").is_fifo()


def test_no_path_leads_out(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("safe")
    root = tmp_path / "root"
    root.mkdir()
    hostile = layer(
        member("../../victim/one", b"x"),
        member("/victim/two", b"x"),
        member("way", kind=tarfile.SYMTYPE, link=str(victim)),
        member("way/three", b"x"),
        member("up", kind=tarfile.SYMTYPE, link="../../../../../.."),
        member(f"up{victim}/four", b"x"),
        member("file", kind=tarfile.SYMTYPE, link=str(victim / "file")),
        member("file", b"replaced"),
    )
    unpack(io.BytesIO(hostile), root)
    assert os.listdir(victim) == ["file"] and (victim / "file").read_text() == "safe"
    assert (root / "file").read_bytes() == b"replaced" and not (root / "file").is_symlink()
    with pytest.raises(OSError):
        unpack(io.BytesIO(layer(member("steal", kind=tarfile.LNKTYPE, link=str(victim / "file")))), root)


def test_whiteouts_hide_what_lies_below(store, tmp_path):
    below = add(store, member("a", b"1"), member("d/one", b"1"), member("d/two", b"2"), member("e/x", b"1"))
    above = add(store, member(".wh.a"), member("d/.wh..wh..opq"), member("d/new", b"3"), member("e/.wh.x"))
    container = tmp_path / "c"
    container.mkdir()
    try:
        root = rootfs.mount(container, [store.layer(below), store.layer(above)])
        assert sorted(os.listdir(root)) == ["d", "e"]
        assert os.listdir(root / "d") == ["new"] and os.listdir(root / "e") == []
        (root / "written").write_text("x")
    finally:
        rootfs.unmount(container)
    assert rootfs.size_bytes(container) > 0 and not (store.layer(above) / "written").exists()


def test_sixty_layers_fit_into_one_mount(store, tmp_path):
    layers = [add(store, member(f"file{n}", str(n).encode())) for n in range(60)]
    container = tmp_path / "c"
    container.mkdir()
    try:
        assert len(os.listdir(rootfs.mount(container, [store.layer(x) for x in layers]))) == 60
    finally:
        rootfs.unmount(container)


def test_files_of_a_container_are_read_as_it_sees_them(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/other")
    assert rootfs.read_text(tmp_path, "etc/passwd") == ""
    (tmp_path / "etc/other").write_text("inside")
    assert rootfs.read_text(tmp_path, "etc/passwd") == "inside"


def test_a_layer_with_another_digest_is_refused(store):
    with pytest.raises(RuntimeFailure, match="unpacked to"):
        store.add_layer(io.BytesIO(layer(member("a"))), "sha256:" + "0" * 64)
    assert os.listdir(store.root / "layers") == []


def test_tags_and_removal(store, tmp_path):
    shared, own = add(store, member("a", b"1")), add(store, member("b", b"2"))
    one = image(store, [shared], "one")
    two = image(store, [shared, own], "localhost:5000/two:v1", Cmd=["x"])
    store.tag(one, "uno")
    assert store.find("one").id == store.find("docker.io/library/uno").id == store.find(one[7:]).id == one
    assert {i.id: i.tags for i in store.images()} == {
        one: ("docker.io/library/one:latest", "docker.io/library/uno:latest"), two: ("localhost:5000/two:v1",),
    }  # fmt: skip
    store.remove("uno")
    assert store.find("uno") is None and store.find(one)
    store.lease("container", two, tmp_path)
    with pytest.raises(RuntimeFailure, match="in use by container container"):
        store.remove("localhost:5000/two:v1")
    store.release("container")
    with store.adding():
        store.remove(two)
        assert store.has_layer(own)  # somebody may be about to need it
    store.remove("nothing")
    store.collect()
    assert store.has_layer(shared) and not store.has_layer(own)
    store.remove("one")
    assert store.images() == [] and os.listdir(store.root / "layers") == []


def test_a_lease_ends_with_its_container(store, tmp_path):
    found = image(store, [add(store, member("a"))], "one")
    (tmp_path / "c").mkdir()
    store.lease("c", found, tmp_path / "c")
    (tmp_path / "c").rmdir()
    assert store.users(found) == []


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            tar.addfile(*(lambda i, d: (i, io.BytesIO(d)))(*member(name, data)))
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_docker_save(store, tmp_path):
    tar = layer(member("hello", b"x"))
    config = image_config({"Cmd": ["/hello"]}, [f"sha256:{sha(tar)}"])
    contents = [{"Config": "c.json", "RepoTags": ["demo:v1"], "Layers": ["l/layer.tar"]}]
    path = archive(
        tmp_path / "a.tar", {"manifest.json": orjson.dumps(contents), "c.json": config, "l/layer.tar": tar}
    )
    assert import_archive(store, path, ["other"]) == [f"sha256:{sha(config)}"]
    assert store.find("demo:v1").config == {"Cmd": ["/hello"]} and store.find("other")


def test_oci_archive(store, tmp_path):
    tar = layer(member("hello", b"x"))
    packed = gzip.compress(tar)
    config = image_config({}, [f"sha256:{sha(tar)}"])
    layers = [{"digest": f"sha256:{sha(packed)}"}]
    manifest = orjson.dumps({"config": {"digest": f"sha256:{sha(config)}"}, "layers": layers})
    notes = {"org.opencontainers.image.ref.name": "docker.io/library/demo:v2"}
    index = {"manifests": [{"digest": f"sha256:{sha(manifest)}", "annotations": notes}]}
    files = {f"blobs/sha256/{sha(blob)}": blob for blob in (manifest, config, packed)}
    path = archive(tmp_path / "a.tar", {"index.json": orjson.dumps(index), **files})
    assert import_archive(store, path) == [f"sha256:{sha(config)}"] and store.find("demo:v2")


def test_what_is_no_image_archive(store, tmp_path):
    with pytest.raises(RuntimeFailure, match="neither a docker-save nor an OCI archive"):
        import_archive(store, archive(tmp_path / "a.tar", {"x": b""}))
    (tmp_path / "b.tar").write_bytes(b"noise" * 1000)
    with pytest.raises(RuntimeFailure, match="cannot import"):
        import_archive(store, tmp_path / "b.tar")


def test_the_same_tree_is_the_same_image_layer(store, tmp_path):
    (tmp_path / "root/bin").mkdir(parents=True)
    (tmp_path / "root/bin/x").write_text("1")
    one = store.find(from_rootfs(store, tmp_path / "root", {}, "a"))
    two = store.find(from_rootfs(store, tmp_path / "root", {"Cmd": ["y"]}, "b"))
    assert one.layers == two.layers and one.id != two.id and (tmp_path / "root").exists()


DEBS = os.environ.get("SAMPAN_TEST_DEBS", "")


@pytest.mark.skipif(not DEBS, reason="SAMPAN_TEST_DEBS names no directory filled by sampan.runtime.images.debian.fetch")
async def test_nginx_from_debian_packages(runtime, config):
    """The packages were fetched before: the tests have no way out of the machine."""
    store = ImageStore(config.images)
    await asyncio.to_thread(build_from_debian, store, ["nginx-light", "curl"], "nginx", None, Path(DEBS))
    pod = await runtime.run_pod_sandbox(SandboxConfig("p", "default", "u", hostname="p"))
    container = await runtime.create_container(pod, ContainerConfig("c", "nginx"))
    await runtime.start_container(container)
    ask = ["curl", "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "0", "http://127.0.0.1/"]
    answer = await runtime.exec_sync(container, ask, 10)
    assert b"Welcome to nginx" in answer.stdout, answer
    log = Path((await runtime.container_status(container)).log_path)
    async with asyncio.timeout(5):
        while "GET / HTTP/1.1" not in log.read_text():
            await asyncio.sleep(0.01)
    await runtime.stop_container(container, 10)
    assert (await runtime.container_status(container)).exit_code == 0
