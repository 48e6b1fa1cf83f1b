"""What the server's and the agent's processes have in common, imported before they are forked."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def load() -> None:
    """Import it, once for both. Nothing here starts a thread, or the fork would not be safe any more."""
    gc.disable()  # nothing that is imported becomes garbage
    with _without_ca_bundle():
        import aiohttp.web  # noqa: F401
    import uvloop  # noqa: F401

    import sampan.client.events  # noqa: F401
    import sampan.client.https  # noqa: F401
    import sampan.client.informer  # noqa: F401
    import sampan.client.queue  # noqa: F401
    import sampan.cluster.process  # noqa: F401
    import sampan.dns.service  # noqa: F401
    gc.enable()


@contextmanager
def _without_ca_bundle() -> Iterator[None]:
    """aiohttp reads all of the machine's certificate authorities while it is imported, a tenth of ``up``'s second.

    Sampan gives each of its connections a TLS context of its own; one that did not would be refused, never trusted.
    """
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]
        if before is not None:
            os.environ["SSL_CERT_FILE"] = before
