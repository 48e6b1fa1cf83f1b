"""Names as users write them, and as the store keeps them."""

import pytest

from sampan.runtime.base import ImagePullFailure
from sampan.runtime.images.reference import image_id, parse

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("bitnami/redis", "docker.io/bitnami/redis:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
        ("127.0.0.1:5000/web", "127.0.0.1:5000/web:latest"),
        ("[::1]:5000/web", "[::1]:5000/web:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        (f"nginx@sha256:{HEX}", f"docker.io/library/nginx@sha256:{HEX}"),
        (f"nginx:1@sha256:{HEX}", "docker.io/library/nginx:1"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest"),
    ],
)
def test_normal_form(text, full):
    assert str(parse(text)) == full


def test_a_digest_wins_over_a_tag():
    assert parse(f"nginx:1@sha256:{HEX}").target == f"sha256:{HEX}"
    assert parse("nginx:1").target == "1"


MALFORMED = ["", "Nginx", "a//b", "a:b:c", "nginx:", "nginx:ä", "x@sha256:1", "-a", "a/../b", " a"]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed(text):
    with pytest.raises(ImagePullFailure) as caught:
        parse(text)
    assert caught.value.reason == "InvalidImageName" and "invalid reference format" in str(caught.value)


def test_upper_case_is_explained():
    with pytest.raises(ImagePullFailure, match="invalid reference format: repository name must be lowercase"):
        parse("Foo/Bar")


def test_image_ids():
    assert image_id(HEX) == image_id(f"sha256:{HEX}") == f"sha256:{HEX}"
    assert image_id("nginx") is None
