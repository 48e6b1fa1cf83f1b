"""How can others verify our tokens?  The issuer's discovery document and its public keys.

Upstream: ``pkg/serviceaccount/openidmetadata.go``; KEP-1393.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

Object = dict[str, Any]





def configuration(issuer: str, jwks_uri: str, keys: Object) -> Object:
    algorithms = sorted({key["alg"] for key in keys["keys"]})
    return {
        "issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": algorithms,
    }


def jwks(public_keys: tuple[bytes, ...]) -> Object:
    """The key set of PEM public keys."""
    return {"keys": [jwk(pem) for pem in public_keys]}


def jwk(pem: bytes) -> Object:
    """One public key. Raises: ValueError for what is neither RSA nor EC."""
    key = serialization.load_pem_public_key(pem)
    common = {"use": "sig", "kid": key_id(key)}
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        return common | {"kty": "RSA", "alg": "RS256", "n": _uint(numbers.n), "e": _uint(numbers.e)}
    if isinstance(key, EllipticCurvePublicKey):
        point, size = key.public_numbers(), (key.key_size + 7) // 8
        return common | {"kty": "EC", "alg": f"ES{key.key_size if key.key_size != 521 else 512}",
                         "crv": f"P-{key.key_size}", "x": _uint(point.x, size), "y": _uint(point.y, size)}
    raise ValueError(f"unsupported public key type {type(key).__name__}")


def key_id(key: Any) -> str:
    """As upstream: SHA-256 of the DER public key."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _base64(hashlib.sha256(der).digest())


def _uint(number: int, size: int = 0) -> str:
    return _base64(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
