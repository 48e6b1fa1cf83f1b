"""One HTTP GET to a container, as probes and lifecycle hooks make it.

Hand-written over a plain connection: it needs a status and the start of a body, and must tell refused from timed out.
A redirect to the same host is followed, one to another host counts as success with a warning.  Certificates are not
checked.  Upstream: ``pkg/probe/http``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

MAX_BODY_BYTES = 10 * 1024
MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.37"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # keys in lower case
    body: str


class HttpFailure(Exception):
    """No answer. The message reads as Go's HTTP client puts it."""


def target(action: Mapping[str, Any], host: str, port: int) -> str:
    """The URL of an ``httpGet`` action."""
    scheme, path = str(action.get("scheme") or "HTTP").lower(), action.get("path") or "/"
    host = action.get("host") or host
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}{path if path.startswith('/') else '/' + path}"


async def get(url: str, headers: Iterable[Mapping[str, str]], timeout_seconds: float) -> Answer:
    """Raises: HttpFailure."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _get(url, list(headers))
    except TimeoutError as error:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise HttpFailure(f'Get "{url}": {why}') from error
    except ConnectionRefusedError as error:
        parts = urlsplit(url)
        raise HttpFailure(f'Get "{url}": dial tcp {parts.netloc}: connect: connection refused') from error
    except (OSError, ValueError, EOFError, IndexError) as error:
        raise HttpFailure(f'Get "{url}": {error or type(error).__name__}') from error


async def probe(url: str, headers: Iterable[Mapping[str, str]], timeout_seconds: float) -> tuple[bool, str]:
    """``(healthy, output)``, following redirects within the host."""
    sent, host = list(headers), urlsplit(url).hostname
    for _ in range(MAX_REDIRECTS):
        try:
            answer = await get(url, sent, timeout_seconds)
        except HttpFailure as error:
            return False, str(error)
        location = answer.headers.get("location")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            healthy = 200 <= answer.status < 400
            return healthy, answer.body if healthy else f"HTTP probe failed with statuscode: {answer.status}"
        url = urljoin(url, location)
        if urlsplit(url).hostname != host:
            return True, f"Probe terminated redirects, Response body: {answer.body}"
    return False, f'Get "{url}": stopped after {MAX_REDIRECTS} redirects'


async def _get(url: str, headers: list[Mapping[str, str]]) -> Answer:
    parts = urlsplit(url)
    tls = _no_verification() if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    try:
        writer.write(_request(parts.netloc, parts.path or "/", parts.query, headers))
        return await _answer(reader)
    finally:
        writer.transport.abort()


def _no_verification() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(host: str, path: str, query: str, headers: list[Mapping[str, str]]) -> bytes:
    fields = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*"}
    for header in headers:
        name = next((known for known in fields if known.lower() == header["name"].lower()), header["name"])
        fields[name] = header.get("value") or ""
    fields = {name: value for name, value in fields.items() if value}  # an empty value takes the default away
    lines = [f"GET {path}{'?' + query if query else ''} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError as error:
        raise EOFError("EOF") from error
    if not head[0].startswith("HTTP/1."):
        raise ValueError(f'malformed HTTP response "{head[0]}"')
    fields = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    limit = min(int(headers.get("content-length", MAX_BODY_BYTES)), MAX_BODY_BYTES)
    body = b""
    while len(body) < limit and (part := await reader.read(limit - len(body))):
        body += part
    return Answer(int(head[0].split(" ")[1]), headers, body.decode("utf-8", "replace"))
