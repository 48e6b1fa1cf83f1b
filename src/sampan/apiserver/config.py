"""What an API server is told at start.  Flags keep kube-apiserver's names where those exist."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Config:
    """``service_account_issuer`` is the ``iss`` of tokens and the base of the OpenID discovery document."""

    service_account_issuer: str = "https://kubernetes.default.svc.cluster.local"
    api_audiences: tuple[str, ...] = ("https://kubernetes.default.svc.cluster.local",)
    #: Public keys that verify ServiceAccount tokens, PEM, for ``/openid/v1/jwks``.
    service_account_public_keys: tuple[bytes, ...] = ()
    service_account_max_token_seconds: int = 1 << 32
    advertise_address: str = ""
    secure_port: int = 6443
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: tuple[int, int] = (30000, 32767)
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    max_request_body_bytes: int = 3 * 1024 * 1024
    request_timeout_seconds: float = 60.0
    min_watch_timeout_seconds: int = 1800
    watch_bookmark_seconds: float = 60.0
    #: Client side TLS for calls to kubelets (CN=kube-apiserver-kubelet-client); None: such calls are refused.
    kubelet_tls: ssl.SSLContext | None = None
    kubelet_timeout_seconds: float = 10.0
    compression_min_bytes: int = 128 * 1024
