"""Debian's docker-registry on the node's loopback, and the little it takes to push an image there."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import Cluster, eventually

#: The user "robot" with the password "sesame".
HTPASSWD = "robot:$2b$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O"
SCHEMA = "application/vnd.docker.distribution.manifest.v2+json"
IMAGE_CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def forget(cluster: Cluster, address: str) -> None:
    """Images outlive the cluster: what was pulled from here must not be there in the next run."""
    for line in cluster.sampan("image list").out.splitlines():
        for word in line.split():
            if word.startswith(f"{address}/"):
                cluster.sampan("image rm", word, check=False)


@contextmanager
def registry(cluster: Cluster, directory: Path, port: int, htpasswd: str = "") -> Iterator[str]:
    """Runs while the block does; gives its address, ``127.0.0.1:<port>`` in the node's network namespace."""
    config: dict[str, object] = {"version": 0.1, "log": {"level": "error"}, "http": {"addr": f"127.0.0.1:{port}"},
              "storage": {"filesystem": {"rootdirectory": str(directory / "blobs")}}}
    if htpasswd:
        (directory / "htpasswd").write_text(htpasswd + "\n")
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
    (directory / "config.yml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "sampan", "node", "exec", "--name", cluster.name, "--data-dir",
               str(cluster.data_dir), "--", "docker-registry", "serve", str(directory / "config.yml")]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    address = f"127.0.0.1:{port}"
    try:
        forget(cluster, address)
        eventually(lambda: cluster.node("curl", "-sS", f"http://{address}/v2/", check=False).code == 0, 10)
        yield address
    finally:
        process.terminate()
        process.wait(10)
        forget(cluster, address)


def push(cluster: Cluster, address: str, name: str, files: dict[str, Path | str], config: dict[str, object],
         user: str = "", directory: Path = Path("/tmp")) -> str:
    """An image of one layer that holds ``files``; returns its manifest's digest."""
    layer = _layer(files)
    blob = gzip.compress(layer, 1, mtime=0)
    image = json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": SCHEMA,
        "config": {"mediaType": IMAGE_CONFIG, "size": len(image), "digest": _digest(image)},
        "layers": [{"mediaType": LAYER, "size": len(blob), "digest": _digest(blob)}]}).encode()
    repository, tag = name.split(":")
    base, login = f"http://{address}/v2/{repository}", ["-u", user] if user else []
    for data in (blob, image):
        started = cluster.node("curl", "-sS", "-i", "-X", "POST", *login, f"{base}/blobs/uploads/").out
        (location,) = (line.split(": ", 1)[1] for line in started.splitlines() if line.lower().startswith("location:"))
        _put(cluster, f"{location.strip()}&digest={_digest(data)}", data, "application/octet-stream", login, directory)
    _put(cluster, f"{base}/manifests/{tag}", manifest, SCHEMA, login, directory)
    return _digest(manifest)


def _put(cluster: Cluster, url: str, data: bytes, kind: str, login: list[str], directory: Path) -> None:
    file = directory / "upload"
    file.write_bytes(data)
    answer = cluster.node("curl", "-sS", "-X", "PUT", "-H", f"Content-Type: {kind}", "--data-binary", f"@{file}",
                          "-w", "%{http_code}", *login, url).out
    assert answer.endswith("201"), answer


def _layer(files: dict[str, Path | str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            data = content.read_bytes() if isinstance(content, Path) else content.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755  # no time: every run makes the same image
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def docker_config(address: str, user: str, password: str) -> str:
    """What an imagePullSecret holds."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {address: {"username": user, "password": password, "auth": auth}}})
