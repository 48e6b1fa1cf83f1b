"""Image names: ``nginx`` is short for ``docker.io/library/nginx:latest``.

Upstream: github.com/distribution/reference, whose grammar and messages are kept; kubelet pkg/util/parsers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sampan.runtime.base import ImagePullFailure

_DOMAIN = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
                     r"(?::[0-9]+)?|\[[a-fA-F0-9:]+\](?::[0-9]+)?")  # fmt: skip
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}")
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Reference:
    """Normal form. ``tag`` is empty only where a digest stands alone."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    def __str__(self) -> str:
        """The tagged name, or the digested one where there is no tag."""
        return f"{self.name}:{self.tag}" if self.tag else f"{self.name}@{self.digest}"

    def digested(self, digest: str) -> str:
        return str(replace(self, tag="", digest=digest))

    @property
    def target(self) -> str:
        """What to ask the registry for: a digest wins over a tag."""
        return self.digest or self.tag


def parse(text: str) -> Reference:
    """Raises: ImagePullFailure with reason InvalidImageName."""
    rest, _, digest = text.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "invalid reference format")
    head, _, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(text, "invalid reference format")
    registry, repository = _split(f"{head}/{last}" if head else last)
    if not _REPOSITORY.fullmatch(repository) or not _DOMAIN.fullmatch(registry):
        lower = _REPOSITORY.fullmatch(repository.lower())
        raise _invalid(text, "invalid reference format" + (": repository name must be lowercase" if lower else ""))
    if not digest:
        tag = tag or "latest"
    return Reference(registry, repository, tag, digest)


def _split(path: str) -> tuple[str, str]:
    """The part before the first slash is a host only if it looks like one."""
    first, slash, rest = path.partition("/")
    if not slash or not (set(first) & set(".:[") or first == "localhost" or first != first.lower()):
        first, rest = "docker.io", path
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest


def image_id(text: str) -> str | None:
    """``sha256:<64 hex>`` when the text is an image id, with or without its prefix."""
    match = _ID.fullmatch(text)
    return f"sha256:{match[1]}" if match else None


def _invalid(text: str, why: str) -> ImagePullFailure:
    return ImagePullFailure(f'couldn\'t parse image name "{text}": {why}', "InvalidImageName")
