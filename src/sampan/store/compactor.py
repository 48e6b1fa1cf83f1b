"""Forgetting: every five minutes the history from before the last five is compacted, as upstream's API server does.

Upstream: ``staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from sampan.store.base import Store, StoreError

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 300.0


async def keep_compacting(
    store: Store, interval: float = INTERVAL_SECONDS,
    sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
) -> None:
    """Run until cancelled. What is at least one interval and less than two old is the oldest that can be read."""
    previous = store.revision
    while True:
        await sleep(interval)
        if previous == store.revision:
            continue  # nothing has happened: let the disk sleep
        try:
            await store.compact(previous)
        except StoreError as error:
            log.warning("store not compacted revision=%d error=%s", previous, error)
        previous = store.revision
