"""What an image of a known Debian package runs, and the few files that its maintainer script would have made.

The nginx image behaves as the one on Docker Hub: port 80, pages in /usr/share/nginx/html, logs on stdout and stderr.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NGINX_SITE = """\
server {
    listen 80 default_server;
    root /usr/share/nginx/html;
    index index.html index.htm;
    server_name _;
    location / {
        try_files $uri $uri/ =404;
    }
}
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """``config`` is the OCI image config's inner object, ``prepare`` gets the root directory."""

    config: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda root: None


def _prepare_nginx(root: Path) -> None:
    enabled = root / "etc/nginx/sites-enabled"
    enabled.mkdir(parents=True, exist_ok=True)
    (enabled / "default").unlink(missing_ok=True)
    (enabled / "default").write_text(_NGINX_SITE)
    logs = root / "var/log/nginx"
    logs.mkdir(parents=True, exist_ok=True)
    for name, target in (("access.log", "/dev/stdout"), ("error.log", "/dev/stderr")):
        (logs / name).unlink(missing_ok=True)
        (logs / name).symlink_to(target)
    (root / "var/lib/nginx").mkdir(parents=True, exist_ok=True)


_NGINX = Recipe(
    {"Cmd": ["nginx", "-g", "daemon off;"], "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGQUIT"}, _prepare_nginx
)


def _prepare_busybox(root: Path) -> None:
    """Every applet by its name, as in the image on Docker Hub, but for programs that are there already."""
    listed = subprocess.run([root / "bin/busybox", "--list"], capture_output=True, check=True, text=True).stdout
    for applet in listed.split():
        if not any((root / place / applet).exists() for place in ("bin", "sbin", "usr/bin", "usr/sbin")):
            (root / "bin" / applet).symlink_to("busybox")


_BUSYBOX = Recipe({"Cmd": ["sh"]}, _prepare_busybox)
_KNOWN = {"busybox-static": _BUSYBOX, "busybox": _BUSYBOX} | {
    name: _NGINX for name in ("nginx", "nginx-light", "nginx-core", "nginx-full", "nginx-extras")}


def recipe_for(packages: Sequence[str]) -> Recipe:
    """The first known package decides; else the image starts a shell."""
    for package in packages:
        if found := _KNOWN.get(package.split("=")[0].split(":")[0]):
            return found
    return Recipe({"Cmd": ["/bin/sh"]})
