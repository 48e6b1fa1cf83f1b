"""Challenges, platforms, mirrors, compression, apt's plan: no network, no disk of note."""

import gzip
import io
import lzma

import pytest
import zstandard

from sampan.runtime.base import Credentials, ImagePullFailure, RuntimeFailure
from sampan.runtime.images.challenge import Challenge, basic, parse
from sampan.runtime.images.debian import Package, plan, unpack_packages
from sampan.runtime.images.decompress import decompressed
from sampan.runtime.images.platforms import choose
from sampan.runtime.images.recipes import recipe_for
from sampan.runtime.images.reference import parse as name
from sampan.runtime.images.registry import bases


def test_challenges():
    header = 'Bearer realm="https://auth.x/token",service="reg.x",scope="repository:a/b:pull,push"'
    assert parse(header) == Challenge(
        "bearer", {"realm": "https://auth.x/token", "service": "reg.x", "scope": "repository:a/b:pull,push"}
    )
    assert parse("Basic realm=x") == Challenge("basic", {"realm": "x"})
    assert parse("Digest realm=x") is None and parse("") is None
    assert basic(Credentials("a", "b")) == "Basic YTpi"


def entry(digest, machine, variant="", system="linux"):
    return {"digest": digest, "platform": {"os": system, "architecture": machine, "variant": variant}}


def test_platforms():
    arms = [entry("v6", "arm", "v6"), entry("v7", "arm", "v7")]
    many = [entry("w", "amd64", system="windows"), entry("a", "amd64"), *arms]
    assert choose(many, "x", "amd64") == "a" and choose(many, "x", "arm") == "v7"
    assert choose([{"digest": "only"}], "x", "amd64") == "only"
    with pytest.raises(ImagePullFailure, match="no match for platform linux/s390x"):
        choose(many, "x", "s390x")


def test_where_to_ask():
    assert bases(name("nginx"), (), ()) == ["https://registry-1.docker.io"]
    assert bases(name("localhost:5000/x"), (), ()) == ["http://localhost:5000"]
    assert bases(name("127.0.0.1/x"), (), ()) == ["http://127.0.0.1"]
    assert bases(name("[::1]:5000/x"), (), ()) == ["http://[::1]:5000"]
    assert bases(name("reg.x:80/y"), (), ("reg.x:80",)) == ["http://reg.x:80"]
    mirrors = (("docker.io", "http://m1"), ("quay.io", "http://m2"), ("*", "http://m3"))
    assert bases(name("nginx"), mirrors, ()) == ["http://m1", "http://m3", "https://registry-1.docker.io"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress, lzma.compress, bytes])
def test_compression_is_told_by_the_bytes(pack):
    assert decompressed(io.BytesIO(pack(b"content" * 999))).read() == b"content" * 999


def test_apts_plan():
    printed = "Reading lists\n'http://x/pool/d/dash_1%3a2_amd64.deb' dash_1%3a2_amd64.deb 123 MD5Sum:ff\n"
    assert plan(printed) == [Package("dash_1%3a2_amd64.deb", 123)]


def test_what_is_no_package_name(tmp_path):
    with pytest.raises(RuntimeFailure, match="'--force' is no Debian package name"):
        unpack_packages(["--force"], tmp_path, tmp_path)


def test_recipes():
    assert recipe_for(["curl", "nginx-light"]).config["Cmd"] == ["nginx", "-g", "daemon off;"]
    assert recipe_for(["curl"]).config["Cmd"] == ["/bin/sh"]
