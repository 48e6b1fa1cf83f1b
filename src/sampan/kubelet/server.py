"""The kubelet's port :10250: logs, exec, attach, port-forward, and what runs here.

Only the cluster's own API server, and cluster administrators, may ask: TLS checks the certificate against the cluster's
CA, and the subject must be in ``system:masters`` (as ``kube-apiserver-kubelet-client`` is).  Any other certificate of
the cluster, a node's or a user's, is turned away, or it could run commands in every pod.

Upstream: ``pkg/kubelet/server``.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from sampan.api.http import Request, Response
from sampan.kubelet import exec as exec_glue
from sampan.kubelet.http_server import HttpServer
from sampan.kubelet.log_endpoint import container_logs
from sampan.kubelet.lookup import Refusal
from sampan.kubelet.stats import metrics_text, stats_summary

if TYPE_CHECKING:
    from sampan.kubelet.kubelet import Kubelet

ADMINISTRATORS = "system:masters"
_EXACT = ("/healthz", "/pods", "/runningpods/", "/metrics", "/stats/summary")


class KubeletServer:
    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._http = HttpServer(self.handle)
        self.port = 0

    async def start(self) -> None:
        """Raises: OSError."""
        config = self._kubelet.config
        assert config.tls_cert_file and config.tls_private_key_file and config.client_ca_file
        tls = server_tls(config.client_ca_file, config.tls_cert_file, config.tls_private_key_file)
        self.port = await self._http.start(config.address or config.node_ip, config.port, tls)

    async def close(self) -> None:
        await self._http.close()

    async def handle(self, request: Request) -> Response:
        """One request, whose certificate TLS has verified."""
        if request.peer is None:
            return text(401, "Unauthorized\n")
        if ADMINISTRATORS not in request.peer.organizations:
            who, what = request.peer.common_name, f"verb={request.method.lower()}, resource=nodes, subresource=proxy"
            return text(403, f"Forbidden (user={who}, {what})\n")
        try:
            return await self._route(request)
        except Refusal as refusal:
            return text(refusal.status, str(refusal))

    async def _route(self, request: Request) -> Response:
        parts = request.path.strip("/").split("/")
        if request.path in _EXACT:
            return await self._exact(request.path)
        if parts[0] == "containerLogs" and len(parts) == 4:
            return container_logs(self._kubelet, request, *parts[1:])
        if parts[0] in ("exec", "attach") and len(parts) in (4, 5):
            return await exec_glue.remote_command(self._kubelet, request, parts[0], parts[1], parts[2], parts[-1])
        if parts[0] == "portForward" and len(parts) in (3, 4):
            return await exec_glue.port_forward(self._kubelet, request, parts[1], parts[2])
        return text(404, "404 page not found\n")

    async def _exact(self, path: str) -> Response:
        if path == "/healthz":
            return text(200, "ok")
        if path == "/metrics":
            return text(200, metrics_text(self._kubelet), "text/plain; version=0.0.4; charset=utf-8")
        if path == "/stats/summary":
            return json(await stats_summary(self._kubelet))
        items = [dict(pod) for pod in self._kubelet.pods()]
        return json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})


def server_tls(client_ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Nobody gets past the handshake without a certificate of the cluster's CA."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(certificate, key)
    tls.load_verify_locations(client_ca)
    tls.num_tickets = 0  # the API server never resumes, and making tickets is a third of a handshake
    return tls


def text(status: int, message: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(status, {"content-type": content_type}, message.encode())


def json(value: Mapping[str, object]) -> Response:
    return Response(200, {"content-type": "application/json"}, orjson.dumps(value))
