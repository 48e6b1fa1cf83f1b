"""`sampan image build --from-debian`: an image where no registry is in reach."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sampan.runtime.images.debian import unpack_packages
from sampan.runtime.images.recipes import recipe_for
from sampan.runtime.images.rootfs import from_rootfs
from sampan.runtime.images.store import ImageStore

_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_from_debian(
    store: ImageStore,
    packages: Sequence[str],
    tag: str,
    config: Mapping[str, Any] | None = None,
    cache: Path | None = None,
) -> str:
    """Returns the image id. ``config`` (Entrypoint, Cmd, Env, ...) goes over the recipe's. Blocks; needs root.

    ``cache`` keeps what was downloaded, beside the images unless said otherwise.

    Raises: RuntimeFailure when a package can't be had.
    """
    recipe = recipe_for(packages)
    with store.adding():
        root = store.scratch()
        try:
            root.chmod(0o755)
            files = unpack_packages(packages, root, cache or store.root / "apt")
            recipe.prepare(root)
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise
        labels = {"sampan.debian-packages": " ".join(name.removesuffix(".deb") for name in files)}
        merged = {"Env": [_ENV], "Labels": labels, **recipe.config, **(config or {})}
        return from_rootfs(store, root, merged, tag, consume=True)
