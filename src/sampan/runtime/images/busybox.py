"""An image of one program: busybox-static under all its names. Made in milliseconds, for tests and first steps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sampan.runtime.base import RuntimeFailure
from sampan.runtime.images.rootfs import from_rootfs
from sampan.runtime.images.store import ImageStore

_PASSWD = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = "root:x:0:\ndaemon:x:1:\nusers:x:100:nobody\nnobody:x:65534:\n"


def build_busybox(store: ImageStore, tag: str = "docker.io/library/busybox:latest") -> str:
    """Returns the image id. Raises: RuntimeFailure when busybox-static is not installed."""
    program = Path("/bin/busybox")
    if not program.exists() or program.read_bytes()[:4] != b"\x7fELF":
        raise RuntimeFailure("busybox is not installed: apt-get install busybox-static")
    root = store.scratch()
    for name in ("bin", "etc", "tmp", "root", "proc", "sys", "dev", "var/www", "home"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copyfile(program, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    for applet in subprocess.run([program, "--list"], capture_output=True, check=True, text=True).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
    return from_rootfs(store, root, {"Cmd": ["sh"]}, tag, consume=True)
