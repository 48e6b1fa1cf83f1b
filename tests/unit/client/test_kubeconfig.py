from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
import yaml

from sampan.client import kubeconfig
from sampan.client.kubeconfig import KubeconfigError, load, merge_context, remove_context

OTHERS = """\
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
clusters:
- name: work
  cluster: {server: "https://work:6443", certificate-authority: ca.pem, extensions: [{name: x, extension: {a: 1}}]}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: team}
users:
- name: me
  user: {client-certificate: me.pem, client-key: /abs/key.pem}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(OTHERS)
    path.chmod(0o600)
    return path


def merge(path: Path, name: str = "sampan-default", **more: object) -> None:
    merge_context(path, name, cluster={"server": "https://127.0.0.1:6443", "certificate-authority-data": b"CA"},
                  user={"client-certificate-data": b"CERT", "client-key-data": b"KEY"}, **more)


def test_merging_leaves_everything_else_as_it_was(path: Path) -> None:
    before = yaml.safe_load(OTHERS)
    merge(path)
    merge(path)  # again: replaced, not added
    after = yaml.safe_load(path.read_text())
    for section in ("clusters", "contexts", "users"):
        assert after[section][0] == before[section][0]
        assert [entry["name"] for entry in after[section][1:]] == ["sampan-default"]
    assert after["preferences"] == {"colors": True}
    assert after["current-context"] == "sampan-default"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["config"]


def test_merge_then_load(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    merge(path, namespace="team")
    config = load(path)
    assert (config.context, config.server, config.namespace) == ("sampan-default", "https://127.0.0.1:6443", "team")
    assert (config.ca, config.cert, config.key) == (b"CA", b"CERT", b"KEY")
    assert "KEY" not in repr(config)


def test_removing_takes_out_only_its_own(path: Path) -> None:
    merge(path)
    assert remove_context(path, "sampan-default")
    assert not remove_context(path, "sampan-default")
    after = yaml.safe_load(path.read_text())
    assert after == yaml.safe_load(OTHERS) | {"current-context": ""}
    assert not remove_context(path.parent / "none", "x")


def test_make_current_can_be_left_out(path: Path) -> None:
    merge(path, make_current=False)
    assert yaml.safe_load(path.read_text())["current-context"] == "work"


def test_relative_paths_start_at_the_file(path: Path) -> None:
    (path.parent / "ca.pem").write_bytes(b"ca")
    (path.parent / "me.pem").write_bytes(b"cert")
    with pytest.raises(KubeconfigError, match="client-key /abs/key.pem: No such file"):
        load(path)
    path.write_text(OTHERS.replace("/abs/key.pem", "me.pem"))
    config = load(path)
    assert (config.ca, config.cert, config.namespace) == (b"ca", b"cert", "team")


def test_the_first_file_of_several_wins(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = path.parent / "second"
    merge(second)
    monkeypatch.setenv("KUBECONFIG", f"{path.parent / 'missing'}:{second}:{path}")
    assert load().context == "sampan-default"
    assert kubeconfig.default_path() == path.parent / "missing"
    with pytest.raises(KubeconfigError, match='no context "nope"'):
        load(context="nope")


def test_a_token_file_and_tls_options(path: Path) -> None:
    merge_context(path, "t", cluster={"server": "https://h", "tls-server-name": "kubernetes",
                                      "insecure-skip-tls-verify": True}, user={"tokenFile": "token", "as": "jane"})
    config = load(path, "t")
    assert config.token_file == str(path.parent / "token") and config.headers == {"Impersonate-User": "jane"}
    assert config.server_name == "kubernetes" and config.insecure_skip_tls_verify


@pytest.mark.parametrize("option", ["exec", "auth-provider", "username", "as-groups"])
def test_what_we_cannot_do_is_refused_by_name(path: Path, option: str) -> None:
    merge_context(path, "t", cluster={"server": "https://h"}, user={option: "x"})
    with pytest.raises(KubeconfigError, match=f"user option {option} is not supported"):
        load(path)


@pytest.mark.parametrize(("text", "says"), [
    ("{", "is not valid YAML"), ("- a", "is not a kubeconfig file"), ("kind: Pod", "is not a kubeconfig file"),
    ("contexts: 5", "contexts is not a list"), ("{}", "no current context"),
])
def test_broken_files_are_named_and_left_alone(path: Path, text: str, says: str) -> None:
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=says):
        load(path)
    if text != "{}":
        with pytest.raises(KubeconfigError):
            merge(path)
        assert path.read_text() == text and os.listdir(path.parent) == ["config"]


def test_bad_base64_is_named(path: Path) -> None:
    merge_context(path, "t", cluster={"server": "https://h", "certificate-authority-data": "%%"}, user={})
    with pytest.raises(KubeconfigError, match="certificate-authority-data is not valid base64"):
        load(path)


def test_a_missing_file_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="config does not exist"):
        load(tmp_path / "config")


def test_the_lock_of_kubectl_is_respected(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig, "LOCK_WAIT_SECONDS", 0.0)
    lock = path.parent / "config.lock"
    lock.touch()
    with pytest.raises(KubeconfigError, match="is locked: .* remove .*config.lock"):
        merge(path)
    assert lock.exists() and path.read_text() == OTHERS
    lock.unlink()
    merge(path)


def test_a_symlink_stays_one(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path)
    merge(link)
    assert link.is_symlink() and load(path).context == "sampan-default"


def test_data_is_written_in_base64(path: Path) -> None:
    merge(path)
    user = yaml.safe_load(path.read_text())["users"][1]["user"]
    assert base64.b64decode(user["client-key-data"]) == b"KEY"
