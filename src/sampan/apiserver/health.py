"""Is the server alive, and ready?  ``/livez``, ``/readyz`` and their old name ``/healthz``, with one line per check.

``?verbose`` lists the checks; ``?exclude=NAME`` leaves one out; ``/readyz/NAME`` asks for one alone.

Upstream: ``staging/src/k8s.io/apiserver/pkg/server/healthz``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sampan.api.http import Request, Response

#: A check raises if something is wrong; its text says what.
Check = Callable[[], Awaitable[None]]

ENDPOINTS = ("healthz", "livez", "readyz")
_TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


class Health:
    """Named checks. ``ready_only`` ones count for ``/readyz`` alone."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {"ping": _ping}
        self.ready_only: set[str] = set()

    def add(self, name: str, check: Check, *, ready_only: bool = False) -> None:
        self.checks[name] = check
        if ready_only:
            self.ready_only.add(name)

    async def serve(self, request: Request) -> Response | None:
        """None for a check that does not exist."""
        endpoint, _, single = request.path.strip("/").partition("/")
        checks = {name: check for name, check in self.checks.items()
                  if endpoint == "readyz" or name not in self.ready_only}
        if single:
            if single not in checks:
                return None
            failure = await _run(checks[single])
            return Response(500 if failure else 200, dict(_TEXT), (failure or "ok").encode())
        excluded = {value for key, value in request.query if key == "exclude"}
        return await _all(endpoint, checks, excluded, any(key == "verbose" for key, _ in request.query))


async def _all(endpoint: str, checks: dict[str, Check], excluded: set[str], verbose: bool) -> Response:
    lines, failed = [], False
    for name, check in checks.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
            continue
        failure = await _run(check)
        failed = failed or bool(failure)
        lines.append(f"[-]{name} failed: {failure}" if failure else f"[+]{name} ok")
    if failed:
        return Response(500, dict(_TEXT), "\n".join([*lines, f"{endpoint} check failed", ""]).encode())
    if verbose:
        return Response(200, dict(_TEXT), "\n".join([*lines, f"{endpoint} check passed", ""]).encode())
    return Response(200, dict(_TEXT), b"ok")


async def _run(check: Check) -> str:
    """What is wrong, or ``""``. Any exception is an answer here: a health check must not fail itself."""
    try:
        await check()
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


async def _ping() -> None:
    return None
