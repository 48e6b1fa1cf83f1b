"""What ``sampan server`` is made of: store, API server, controllers and scheduler in one process.

The controllers are clients like everybody else, each with an identity of its own; only their transport is a function
call.  The order matters once: the roles must be there before anybody asks by them.

Importing this module imports the whole control plane: only what becomes a server does it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Coroutine

from sampan.api.http import Subject
from sampan.api.resources import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    PODS,
    ROLEBINDINGS,
    ROLES,
    SERVICEACCOUNTS,
)
from sampan.apiserver import serve
from sampan.apiserver.app import ApiServer
from sampan.apiserver.config import Config as ApiServerConfig
from sampan.auth import bootstrap
from sampan.auth.authenticate import RequestAuthenticator
from sampan.auth.authorize import Chain
from sampan.auth.bootstrap_store import StoreClient
from sampan.auth.node import NodeAuthorizer, shape
from sampan.auth.objects import StoreObjects
from sampan.auth.rbac import Rbac
from sampan.auth.tokens import TokenIssuer, TokenVerifier
from sampan.client.rest import Client
from sampan.client.transport import InProcess
from sampan.cluster.config import ClusterConfig
from sampan.cluster.nodes import server_daemon
from sampan.cluster.process import run
from sampan.controllers import run as controllers
from sampan.controllers.base import Config as ControllersConfig
from sampan.controllers.base import KubernetesService
from sampan.dns.service import ensure as ensure_dns
from sampan.scheduler import scheduler
from sampan.store.base import Store
from sampan.store.compactor import keep_compacting
from sampan.store.sqlite import SqliteStore

MASTERS = "system:masters"
CONTROLLER_MANAGER = "controller-manager"
#: Watches never end by themselves, so every second of grace would be one that ``sampan down`` takes longer.
CLOSE_GRACE_SECONDS = 0.1


def main(config: ClusterConfig, ready_fd: int) -> None:
    """Run until SIGTERM."""

    async def start() -> Callable[[], Awaitable[None]]:
        server = Server(config)
        try:
            await server.start()
        except BaseException:
            await server.close()
            raise
        return server.close

    run(server_daemon(config).pid_file, start, ready_fd)


class Server:
    """The control plane of one cluster. ``start`` returns once clients get answers."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self._closing: list[Callable[[], Awaitable[object]]] = []  # in the order of starting

    async def start(self) -> None:
        """Raises: OSError when the port is taken."""
        store = SqliteStore(self._config.directory / "server" / "state.db")
        await store.start()
        self._closing.append(store.close)
        self._keep(keep_compacting(store), "compactor")
        fresh = store.revision == 0
        if fresh:
            await bootstrap.ensure(StoreClient(store))
        issuer = token_issuer(self._config)
        app = await self._api_server(store, issuer)
        client = _client(app, Subject("system:apiserver", (MASTERS,)))
        if not fresh:
            await bootstrap.ensure(client)
        hosts = ["127.0.0.1", self._config.host_address]
        serving = await serve.listen(app, hosts, self._config.api_port, _tls(self._config))
        self._closing.append(lambda: serving.close(CLOSE_GRACE_SECONDS))
        nodes = {node: self._config.node_address(node) for node in self._config.nodes}
        await ensure_dns(client, self._config.dns_ip, nodes)
        await self._controllers(app, issuer)  # last: while their caches are filled, the agent's first words would wait

    async def close(self) -> None:
        """Last started, first closed."""
        while self._closing:
            await self._closing.pop()()

    def _keep(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)

        async def close() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._closing.append(close)

    async def _api_server(self, store: Store, issuer: TokenIssuer) -> ApiServer:
        kept = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS, SERVICEACCOUNTS)
        objects = StoreObjects(store, {**dict.fromkeys(kept), PODS: shape})
        await objects.start()
        self._closing.append(objects.close)
        verifier = TokenVerifier([(self._config.pki / "sa.pub").read_bytes()], (issuer.issuer,), issuer.audiences)
        authorizer = Chain((NodeAuthorizer(objects), Rbac(objects)))
        app = ApiServer(store, RequestAuthenticator(verifier, objects), authorizer,
                        api_server_config(self._config), issuer=issuer)
        self._closing.append(app.kubelets.close)
        return app

    async def _controllers(self, app: ApiServer, issuer: TokenIssuer) -> None:
        """Controllers and scheduler share one copy of every object."""

        def client(identity: str) -> Client:
            return _client(app, subject_of_controller(identity))

        running = await controllers.start(client, config=controllers_config(self._config, issuer))
        self._closing.append(running.close)
        scheduling = await scheduler.start(_client(app, Subject("system:kube-scheduler")), running.informers)
        self._closing.append(scheduling.close)


def subject_of_controller(identity: str) -> Subject:
    """Each controller has the rights of upstream's ``system:controller:<name>`` and no others."""
    if identity == "apiserver":
        return Subject("system:apiserver", (MASTERS,))
    if identity == CONTROLLER_MANAGER:
        return Subject("system:kube-controller-manager")
    return Subject(f"system:serviceaccount:kube-system:{identity}",
                   ("system:serviceaccounts", "system:serviceaccounts:kube-system"))


def token_issuer(config: ClusterConfig) -> TokenIssuer:
    return TokenIssuer((config.pki / "sa.key").read_bytes(), f"https://kubernetes.default.svc.{config.domain}")


def api_server_config(config: ClusterConfig) -> ApiServerConfig:
    issuer = f"https://kubernetes.default.svc.{config.domain}"
    return ApiServerConfig(
        service_account_issuer=issuer, api_audiences=(issuer,),
        service_account_public_keys=((config.pki / "sa.pub").read_bytes(),),
        advertise_address=config.host_address, secure_port=config.api_port,
        service_cluster_ip_range=config.service_cidr, kubelet_tls=_kubelet_tls(config),
    )


def controllers_config(config: ClusterConfig, issuer: TokenIssuer) -> ControllersConfig:
    return ControllersConfig(
        cluster_cidr=config.pod_cidr, root_ca_pem=(config.pki / "ca.crt").read_text(),
        issue_legacy_token=issuer.issue_legacy,
        node_monitor_grace_period_seconds=config.node_monitor_grace_period_seconds,
        kubernetes_service=KubernetesService(config.kubernetes_ip, config.host_address, config.api_port),
    )


def _client(app: ApiServer, subject: Subject) -> Client:
    return Client(InProcess(app.handle, subject), user_agent=subject.common_name.rsplit(":", 1)[-1])


def _tls(config: ClusterConfig) -> ssl.SSLContext:
    """A client may show a certificate of the cluster's CA; who shows none is anonymous until a token says more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.pki / "apiserver.crt", config.pki / "apiserver.key")
    context.load_verify_locations(config.pki / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 0  # a third of a handshake, for a resumption that no client of Kubernetes asks for
    return context


def _kubelet_tls(config: ClusterConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(config.pki / "ca.crt"))
    context.load_cert_chain(config.pki / "apiserver-kubelet-client.crt", config.pki / "apiserver-kubelet-client.key")
    return context
