"""Where the API server is and who we are: reading kubeconfig files, and writing to them without harm.

``$KUBECONFIG`` may name several files; the first to mention a name wins, as in kubectl.  Writing changes one cluster,
one user and one context, all of the same name, and keeps everything else, known or not.  It holds kubectl's own lock
(``<file>.lock``, created exclusively) and replaces the file in one step, so neither a crash nor kubectl at the same
moment can leave half a file.

Upstream: ``client-go/tools/clientcmd`` (loader.go, client_config.go, config.go).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sampan.client.https import Https

LOCK_WAIT_SECONDS = 5.0
#: What a user entry may say that we cannot do; refused by name instead of failing with a 401 later.
_UNSUPPORTED_USER = ("exec", "auth-provider", "username", "password", "as-groups", "as-uid", "as-user-extra")


class KubeconfigError(Exception):
    """The file can't be read, written or used; the message says which and why."""


@dataclass(frozen=True)
class Kubeconfig:
    """One context, resolved: PEM data is read in, whatever form it had in the file."""

    context: str
    server: str
    namespace: str = "default"
    ca: bytes | None = None
    cert: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    server_name: str = ""
    insecure_skip_tls_verify: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def transport(self) -> Https:
        from sampan.client.https import Https

        return Https(
            self.server, ca=self.ca, cert=self.cert, key=self.key, token=self.token, token_file=self.token_file,
            server_name=self.server_name, insecure_skip_tls_verify=self.insecure_skip_tls_verify, headers=self.headers,
        )


def default_path() -> Path:
    """The file that kubectl would write to: the first of ``$KUBECONFIG``, else ``~/.kube/config``."""
    return _paths("")[0]


def load(path: str | os.PathLike[str] = "", context: str = "") -> Kubeconfig:
    """Resolve a context (the current one unless named). Raises: KubeconfigError."""
    paths = _paths(path)
    files = [(file, _read(file)) for file in paths if file.exists()]
    if not files:
        raise KubeconfigError(f"no kubeconfig: {paths[0]} does not exist")
    name = context or next((str(c["current-context"]) for _, c in files if c.get("current-context")), "")
    if not name:
        raise KubeconfigError(f"{paths[0]} has no current context: name one with --context")
    found, _ = _entry(files, "contexts", "context", name)
    cluster, cluster_file = _entry(files, "clusters", "cluster", str(found.get("cluster", "")))
    user, user_file = _entry(files, "users", "user", str(found["user"])) if found.get("user") else ({}, paths[0])
    return _resolve(name, found, cluster, cluster_file.parent, user, user_file.parent)


def merge_context(
    path: str | os.PathLike[str], name: str, *, cluster: Mapping[str, Any], user: Mapping[str, Any],
    namespace: str = "", make_current: bool = True,
) -> None:
    """Add or replace the context ``name`` with a cluster and a user of the same name.

    ``cluster`` and ``user`` hold the kubeconfig's own fields (``server``, ``certificate-authority-data``, ...); bytes
    are written in base64. Raises: KubeconfigError.
    """
    context = {"cluster": name, "user": name} | ({"namespace": namespace} if namespace else {})
    with _changing(Path(path)) as config:
        _put(config, "clusters", "cluster", name, cluster)
        _put(config, "contexts", "context", name, context)
        _put(config, "users", "user", name, user)
        if make_current or not config.get("current-context"):
            config["current-context"] = name


def remove_context(path: str | os.PathLike[str], name: str) -> bool:
    """Take out the context, cluster and user of that name; whether there was any. Raises: KubeconfigError."""
    if not Path(path).exists():
        return False
    with _changing(Path(path)) as config:
        removed = False
        for section in ("clusters", "contexts", "users"):
            kept = [entry for entry in config.get(section) or () if entry.get("name") != name]
            removed |= len(kept) != len(config.get(section) or ())
            config[section] = kept
        if config.get("current-context") == name:
            config["current-context"] = ""
    return removed


def _paths(path: str | os.PathLike[str]) -> list[Path]:
    if path:
        return [Path(path)]
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def _read(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load(path.read_bytes(), loader)
    except OSError as error:
        raise KubeconfigError(f"cannot read {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if config is None:
        return {}
    if not isinstance(config, dict) or config.get("kind", "Config") != "Config":
        raise KubeconfigError(f"{path} is not a kubeconfig file")
    for section in ("clusters", "contexts", "users"):
        entries = config.get(section) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise KubeconfigError(f"{path} is not a kubeconfig file: {section} is not a list of named entries")
    return config


def _entry(files: list[tuple[Path, dict[str, Any]]], section: str, what: str, name: str) -> tuple[dict[str, Any], Path]:
    """The entry of that name, with the file it stands in: relative paths in it start there."""
    for file, config in files:
        for entry in config.get(section) or ():
            if entry.get("name") == name:
                return entry.get(what) or {}, file
    raise KubeconfigError(f'{files[0][0]} has no {what} "{name}"')


def _resolve(
    name: str, context: dict[str, Any], cluster: dict[str, Any], cluster_dir: Path, user: dict[str, Any], user_dir: Path
) -> Kubeconfig:
    for option in _UNSUPPORTED_USER:
        if user.get(option):
            raise KubeconfigError(f'context "{name}": user option {option} is not supported')
    if cluster.get("proxy-url"):
        raise KubeconfigError(f'context "{name}": cluster option proxy-url is not supported')
    if not cluster.get("server"):
        raise KubeconfigError(f'context "{name}": its cluster has no server')
    return Kubeconfig(
        context=name,
        server=cluster["server"],
        namespace=context.get("namespace") or "default",
        ca=_pem(cluster, "certificate-authority", cluster_dir),
        cert=_pem(user, "client-certificate", user_dir),
        key=_pem(user, "client-key", user_dir),
        token=user.get("token") or "",
        token_file=str(user_dir / user["tokenFile"]) if user.get("tokenFile") and not user.get("token") else "",
        server_name=cluster.get("tls-server-name") or "",
        insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
        headers={"Impersonate-User": user["as"]} if user.get("as") else {},
    )


def _pem(fields: dict[str, Any], option: str, directory: Path) -> bytes | None:
    """``option-data`` (base64) comes before ``option`` (a path)."""
    if data := fields.get(f"{option}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise KubeconfigError(f"{option}-data is not valid base64") from error
    if not fields.get(option):
        return None
    try:
        return Path(directory, fields[option]).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"cannot read {option} {directory / fields[option]}: {error.strerror}") from error


def _put(config: dict[str, Any], section: str, what: str, name: str, fields: Mapping[str, Any]) -> None:
    value = {key: base64.b64encode(v).decode() if isinstance(v, bytes) else v for key, v in fields.items()}
    entries = config.get(section) or []
    config[section] = entries
    for entry in entries:
        if entry.get("name") == name:
            entry[what] = value
            return
    entries.append({"name": name, what: value})


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """Lock, read, let the caller change, replace. An error inside leaves the file as it was."""
    path = path.resolve()  # a symlink stays one
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with _lock(path):
            config = _read(path) if path.exists() else {}
            config.setdefault("apiVersion", "v1")
            config.setdefault("kind", "Config")
            yield config
            _replace(path, config)
    except OSError as error:
        raise KubeconfigError(f"cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    lock = Path(f"{path}.lock")
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0))
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise KubeconfigError(f"{path} is locked: if nobody is writing to it, remove {lock}") from None
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _replace(path: Path, config: dict[str, Any]) -> None:
    """Write beside, then rename over: mode 0600 from the first byte, the owner as it was."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(yaml.dump(config, Dumper=dumper, sort_keys=False, encoding="utf-8"))
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            owner = path.stat()
            os.chown(beside, owner.st_uid, owner.st_gid)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
