"""Credentials for a registry, out of ``imagePullSecrets``.

Both ``kubernetes.io/dockerconfigjson`` and the older ``kubernetes.io/dockercfg`` are read.  The entry with the longest
matching path comes first; ``*`` stands for one label of a host name.  Upstream: ``pkg/credentialprovider``.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sampan.runtime.base import Credentials

DEFAULT_REGISTRY = "docker.io"


def credentials_for(image: str, secrets: Iterable[Mapping[str, Any]]) -> list[Credentials]:
    """Those to try, best first. Secrets that can't be read are passed over, as upstream does."""
    host, path = registry_of(image)
    found: list[tuple[int, Credentials]] = []
    for secret in secrets:
        for server, entry in _entries(secret).items():
            if _matches(server, host, path):
                found.append((len(server), _credentials(entry)))
    return [c for _, c in sorted(found, key=lambda pair: -pair[0])]


def registry_of(image: str) -> tuple[str, str]:
    """``(host, repository path)`` of an image reference."""
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        path = image if slash else f"library/{image}"
        return DEFAULT_REGISTRY, path
    return first, rest


def _entries(secret: Mapping[str, Any]) -> Mapping[str, Any]:
    data = secret.get("data") or {}
    try:
        if ".dockerconfigjson" in data:
            found = json.loads(base64.b64decode(data[".dockerconfigjson"])).get("auths") or {}
        else:
            found = json.loads(base64.b64decode(data.get(".dockercfg", "e30=")))
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _matches(server: str, host: str, path: str) -> bool:
    wanted = server.partition("://")[2] or server
    wanted = wanted.rstrip("/").removesuffix("/v1").removesuffix("/v2")
    wanted_host, _, wanted_path = wanted.partition("/")
    if wanted_host in ("index.docker.io", "registry-1.docker.io"):
        wanted_host = DEFAULT_REGISTRY
    same_depth = wanted_host.count(".") == host.count(".")
    return same_depth and fnmatch.fnmatchcase(host, wanted_host) and path.startswith(wanted_path)


def _credentials(entry: Mapping[str, Any]) -> Credentials:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if entry.get("auth") and not username:
        try:
            username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            username = password = ""
    return Credentials(username, password, entry.get("identitytoken") or "", entry.get("registrytoken") or "")
