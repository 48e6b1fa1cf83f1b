"""Public keys as others see them: key ids, JSON Web Keys, and the OpenID discovery document.

A key's id is the base64url SHA-256 of its DER form, so whoever has the key can compute it and nobody assigns it.
Upstream: ``pkg/serviceaccount/jwt.go`` (``keyIDFromPublicKey``), ``pkg/serviceaccount/openidmetadata.go``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey


def load_private(pem: bytes) -> RSAPrivateKey:
    """Raises: ValueError for what is not an RSA private key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("the ServiceAccount signing key must be an RSA key")
    return key


def load_public(pem: bytes) -> RSAPublicKey:
    """From a public key, a private key or a certificate. Raises: ValueError."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    if b"PRIVATE KEY" in pem:
        return load_private(pem).public_key()
    key = load_pem_x509_certificate(pem).public_key() if b"CERTIFICATE" in pem else load_pem_public_key(pem)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("a ServiceAccount verification key must be an RSA key")
    return key


def key_id(key: RSAPublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return _base64url(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest())


def jwks(keys: Iterable[RSAPublicKey]) -> dict[str, Any]:
    """``/openid/v1/jwks``."""
    return {"keys": [_jwk(key) for key in keys]}


def discovery(issuer: str, jwks_uri: str) -> dict[str, Any]:
    """``/.well-known/openid-configuration``."""
    return {"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}


def _jwk(key: RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"use": "sig", "kty": "RSA", "kid": key_id(key), "alg": "RS256", "n": _number(numbers.n),
            "e": _number(numbers.e)}


def _number(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
