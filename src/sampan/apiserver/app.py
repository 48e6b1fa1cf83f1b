"""What happens to a request: the whole chain on one screen.

request info -> authentication -> impersonation -> authorization -> a place among the requests in flight -> the verb ->
the response with its warnings; every refusal leaves as a ``Status``.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/config.go`` (DefaultBuildHandlerChain).
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from sampan.api import resources
from sampan.api.errors import ApiError, InternalError, RequestEntityTooLarge, ServiceUnavailable, Timeout
from sampan.api.http import Request, Response
from sampan.apiserver import routes
from sampan.apiserver.admission.base import Plugin
from sampan.apiserver.admission.chain import default_chain
from sampan.apiserver.call import Call
from sampan.apiserver.config import Config
from sampan.apiserver.forbidden import denial
from sampan.apiserver.impersonation import impersonate
from sampan.apiserver.inflight import InFlight
from sampan.apiserver.joined_lists import JoinedLists
from sampan.apiserver.kinds.service.ranges import ServiceRanges
from sampan.apiserver.kubelet_connections import Spares
from sampan.apiserver.metrics import Metrics
from sampan.apiserver.objects import Objects
from sampan.apiserver.paths import Paths
from sampan.apiserver.request_info import RequestInfo, request_info, selected_name
from sampan.apiserver.respond import error_response, warning_headers
from sampan.apiserver.watch_events import EventCache
from sampan.auth.authenticate import Authenticator
from sampan.auth.authorize import Attributes, Authorizer
from sampan.auth.user import UserInfo
from sampan.store.base import Store, StoreUnavailable

if TYPE_CHECKING:
    from sampan.auth.tokens import TokenIssuer

log = logging.getLogger(__name__)


class ApiServer:
    """One API server over one store. ``handle`` is the only way in."""

    def __init__(
        self, store: Store, authenticator: Authenticator, authorizer: Authorizer, config: Config, *,
        issuer: TokenIssuer | None = None, plugins: list[Plugin] | None = None,
    ) -> None:
        self.objects = Objects(store)
        self.authenticator = authenticator
        self.authorizer = authorizer
        self.config = config
        self.issuer = issuer
        self.plugins = default_chain(self.objects) if plugins is None else plugins
        self.events = EventCache()
        self.joined_lists = JoinedLists()
        self.metrics = Metrics()
        self.paths = Paths(self)
        self.kubelets = Spares()
        self.service_ranges = ServiceRanges(config.service_cluster_ip_range, config.service_node_port_range)
        self.inflight = InFlight(config.max_requests_inflight, config.max_mutating_requests_inflight)

    async def handle(self, request: Request) -> Response:
        """Never raises but for cancellation."""
        started = time.perf_counter()
        info = request_info(request)
        warnings: list[str] = []
        try:
            response = await self._serve(request, info, warnings)
        except ApiError as error:
            response = error_response(error, request)
        except StoreUnavailable as error:
            response = error_response(ServiceUnavailable(str(error)), request)
        except TimeoutError:
            response = error_response(Timeout("request did not complete within the allotted timeout"))
        except Exception:
            log.exception("request failed method=%s path=%s", request.method, request.path)
            response = error_response(InternalError(f"{request.method} {request.path} failed, see the server's log"))
        if warnings:
            response.headers["Warning"] = ", ".join(warning_headers(warnings))
        self.metrics.observe(info, response.status, time.perf_counter() - started)
        return response

    async def _serve(self, request: Request, info: RequestInfo, warnings: list[str]) -> Response:
        user = await self.authenticator.authenticate(request)
        user = impersonate(user, request.headers, self.authorizer)
        self._authorize(user, info, request)
        if not info.is_resource:
            return await self.paths.serve(request)
        resource = resources.by_plural(info.group, info.version, info.resource)
        if resource is None:
            return routes.not_found()
        handler = routes.handler(info)
        call = Call(self, request, info, user, resource, warnings)
        if info.verb == "get" or routes.long_running(info):
            return await handler(call)  # one look-up in memory, or no end in sight: neither is counted nor timed
        if len(request.body) > self.config.max_request_body_bytes:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {self.config.max_request_body_bytes}")
        with self.inflight.place(info.verb, user):
            async with asyncio.timeout(self.config.request_timeout_seconds):
                return await handler(call)

    def _authorize(self, user: UserInfo, info: RequestInfo, request: Request) -> None:
        """Raises: Forbidden."""
        if info.is_resource:
            attributes = Attributes(
                user, info.verb, info.group, info.resource, info.subresource, info.namespace,
                info.name or selected_name(request),
            )
        else:
            attributes = Attributes(user, info.verb, path=info.path)
        decision = self.authorizer.authorize(attributes)
        if not decision.allowed:
            raise denial(attributes, decision.reason)

    def authorize_create(self, call: Call) -> None:
        """For a PUT or an apply that is about to create. Raises: Forbidden."""
        info = call.info
        attributes = Attributes(call.user, "create", info.group, info.resource, "", info.namespace, info.name)
        decision = self.authorizer.authorize(attributes)
        if not decision.allowed:
            raise denial(attributes, decision.reason)
