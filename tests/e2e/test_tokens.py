"""Tokens at the end of their life, and tokens that are not the cluster's: 401 from the real server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.cluster import Cluster, Kubectl, run


@pytest.fixture
def token(kubectl: Kubectl) -> str:
    """A real one, of a ServiceAccount that may do nothing."""
    kubectl("create", "serviceaccount", "build-robot")
    return kubectl("create", "token", "build-robot").out.strip()


def signed_again(cluster: Cluster, token: str, key: Any = None, **changes: Any) -> str:
    """The token with other claims, signed by the cluster's own key (or another one)."""
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    key = key or (cluster.data_dir / cluster.name / "server" / "pki" / "sa.key").read_text()
    return jwt.encode(claims, key, "RS256", {"kid": jwt.get_unverified_header(token)["kid"]})


def answer(cluster: Cluster, token: str, directory: Path) -> str:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    (server,) = [c["cluster"]["server"] for c in config["clusters"] if c["name"] == f"sampan-{cluster.name}"]
    authority = directory / "ca.crt"
    authority.write_bytes((cluster.data_dir / cluster.name / "server" / "pki" / "ca.crt").read_bytes())
    return run(["curl", "-sS", "--max-time", "10", "--cacert", str(authority), "-H", f"Authorization: Bearer {token}",
                "-o", str(directory / "body"), "-w", "%{http_code}", f"{server}/api/v1/pods"]).out


def test_an_expired_token_is_worth_nothing(cluster: Cluster, token: str, tmp_path: Path) -> None:
    now = int(time.time())
    valid = signed_again(cluster, token)
    assert answer(cluster, valid, tmp_path) == "403", "known, and may not: the signature of this test is good"
    expired = signed_again(cluster, token, iat=now - 7200, nbf=now - 7200, exp=now - 3600)
    assert answer(cluster, expired, tmp_path) == "401"
    early = signed_again(cluster, token, iat=now + 3600, nbf=now + 3600, exp=now + 7200)
    assert answer(cluster, early, tmp_path) == "401"


def test_a_token_for_somebody_else_is_refused(cluster: Cluster, token: str, tmp_path: Path) -> None:
    assert answer(cluster, signed_again(cluster, token, aud=["https://other.example"]), tmp_path) == "401"
    assert answer(cluster, signed_again(cluster, token, iss="https://other.example"), tmp_path) == "401"


def test_a_token_signed_by_another_key_is_refused(cluster: Cluster, token: str, tmp_path: Path) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert answer(cluster, signed_again(cluster, token, stranger), tmp_path) == "401"
    unsigned = token.rpartition(".")[0] + "."
    assert answer(cluster, unsigned, tmp_path) == "401"
