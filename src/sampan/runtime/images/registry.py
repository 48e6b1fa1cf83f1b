"""Asking a registry: manifests and blobs over HTTP, with whatever authentication it wants.

    GET /v2/<repository>/manifests/<tag or digest>   -> 401 with a challenge -> token -> again
    GET /v2/<repository>/blobs/<digest>              -> bytes, often by a redirect; resumed where the line broke

Nothing is trusted but digests: a manifest asked for by digest and every blob is hashed before it is used.
Upstream: OCI distribution-spec; distribution/docs/spec/auth/token.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from sampan.runtime.base import Credentials, ImagePullFailure
from sampan.runtime.images import challenge
from sampan.runtime.images.reference import Reference

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_ATTEMPTS = 5
_MANIFEST_LIMIT = 4 << 20


class Registry:
    """One repository at one registry or mirror, for the length of one pull."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, reference: Reference, credentials: Credentials
    ) -> None:
        self._session = session
        self._base = f"{base.rstrip('/')}/v2/{reference.repository}"
        self._reference = reference
        self._credentials = credentials
        self._authorization = f"Bearer {credentials.registry_token}" if credentials.registry_token else ""

    async def manifest(self, target: str) -> tuple[dict[str, Any], str]:
        """(the manifest or index, its digest) for a tag or digest."""
        async with self._get(f"manifests/{target}", {"Accept": ", ".join((*INDEXES, *MANIFESTS))}) as response:
            data = await response.content.read(_MANIFEST_LIMIT)
            while chunk := await response.content.read(65536):
                data += chunk
                if len(data) > _MANIFEST_LIMIT:
                    raise ImagePullFailure(f"manifest of {self._reference} is larger than {_MANIFEST_LIMIT} bytes")
            kind = response.content_type
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if ":" in target and target != digest:
            raise ImagePullFailure(f"manifest {target} of {self._reference.name} has digest {digest}")
        try:
            found = orjson.loads(data)
        except ValueError as error:
            raise ImagePullFailure(f"manifest of {self._reference} is no JSON: {error}") from error
        found.setdefault("mediaType", kind)
        return found, digest

    async def blob(self, digest: str, into: Path) -> int:
        """Download and verify; returns the size. A broken connection is taken up where it broke."""
        hashed, size = hashlib.sha256(), 0
        with await asyncio.to_thread(into.open, "wb") as file:
            for attempt in range(_ATTEMPTS):
                try:
                    headers = {"Range": f"bytes={size}-"} if size else {}
                    async with self._get(f"blobs/{digest}", headers) as response:
                        if size and response.status != 206:  # it starts over
                            hashed, size = hashlib.sha256(), 0
                            file.seek(0)
                            file.truncate()
                        async for chunk in response.content.iter_chunked(1 << 20):
                            await asyncio.to_thread(_take, chunk, hashed, file)
                            size += len(chunk)
                    break
                except (aiohttp.ClientError, TimeoutError) as error:
                    if attempt == _ATTEMPTS - 1:
                        raise ImagePullFailure(f"failed to fetch blob {digest}: {_words(error)}") from error
                    await asyncio.sleep(0.2 * 2**attempt)
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise ImagePullFailure(f"blob {digest} of {self._reference.name} has digest sha256:{hashed.hexdigest()}")
        return size

    @asynccontextmanager
    async def _get(self, path: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._base}/{path}"
        for last in (False, True):
            sent = headers | ({"Authorization": self._authorization} if self._authorization else {})
            async with self._session.get(url, headers=sent) as response:
                if response.status == 401 and not last:
                    asked = challenge.parse(response.headers.get("WWW-Authenticate", ""))
                    if asked is not None:
                        self._authorization = await self._authorize(asked)
                        continue
                if response.status not in (200, 206):
                    raise _refused(response.status, url, self._reference)
                yield response
                return

    async def _authorize(self, asked: challenge.Challenge) -> str:
        if asked.scheme == "basic":
            return challenge.basic(self._credentials)
        realm = asked.parameters.get("realm", "")
        scope = asked.parameters.get("scope") or f"repository:{self._reference.repository}:pull"
        query = {"service": asked.parameters.get("service", ""), "scope": scope}
        token = self._credentials.identity_token
        if token:
            form = query | {"grant_type": "refresh_token", "refresh_token": token, "client_id": "sampan"}
            request = self._session.post(realm, data=form)
        else:
            headers = {"Authorization": challenge.basic(self._credentials)} if self._credentials.username else {}
            request = self._session.get(realm, params=query, headers=headers)
        async with request as response:
            if response.status != 200:
                raise _refused(response.status, realm, self._reference)
            answer = orjson.loads(await response.read())
        return f"Bearer {answer.get('token') or answer.get('access_token')}"


def _take(chunk: bytes, hashed: Any, file: Any) -> None:
    hashed.update(chunk)
    file.write(chunk)


def _refused(status: int, url: str, reference: Reference) -> ImagePullFailure:
    if status == 404:
        return ImagePullFailure(f"{reference}: not found")
    if status in (401, 403):
        return ImagePullFailure(
            "pull access denied, repository does not exist or may require authorization: "
            f"server answered {status} to {url}"
        )
    return ImagePullFailure(f"unexpected status {status} from GET {url}")


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def bases(reference: Reference, mirrors: Sequence[tuple[str, str]], insecure: Sequence[str]) -> list[str]:
    """Base URLs to try in order: the mirrors of the registry, then the registry itself."""
    host = "registry-1.docker.io" if reference.registry == "docker.io" else reference.registry
    plain = reference.registry in insecure or _is_loopback(host)
    found = [url for registry, url in mirrors if registry in (reference.registry, "*")]
    return [*found, f"{'http' if plain else 'https'}://{host}"]


def _is_loopback(host: str) -> bool:
    """Registries on the machine itself speak plain HTTP, as containerd and Docker assume too."""
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
