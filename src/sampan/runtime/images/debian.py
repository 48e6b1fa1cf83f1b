"""A root file system from Debian packages, in seconds and without changing the machine.

apt resolves against an empty list of installed packages, with the machine's own sources and package lists; what it
has to download is kept beside the images.  The packages are unpacked, side by side, and their maintainer scripts are
**not** run: that would need dpkg, perl and debconf in the image and cost most of the time.  What those scripts would
have done and a container needs is done by ``settle`` here and in ``recipes``: users, library cache, CA bundle, awk.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sampan.runtime.base import RuntimeFailure

# A shell and what scripts expect beside it.
BASE = ("base-files", "base-passwd", "dash", "coreutils", "grep", "sed", "findutils", "mawk", "hostname", "libc-bin")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?")
_LINE = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # Debian's are links into usr/ since 2023
_LEFT_OUT = ("usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "usr/share/lintian/*")
_MACHINE_CACHE = Path("/var/cache/apt/archives")


@dataclass(frozen=True, slots=True)
class Package:
    file: str
    size: int


def unpack_packages(packages: Sequence[str], root: Path, cache: Path) -> list[str]:
    """Fill ``root`` with the packages and all they depend on; returns the file names. Raises: RuntimeFailure."""
    archives = fetch(packages, cache)
    _skeleton(root)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(lambda archive: _unpack(archive, root), archives))
    settle(root)
    return [archive.name for archive in archives]


def fetch(packages: Sequence[str], cache: Path) -> list[Path]:
    """Have the packages and all they depend on in ``cache``; returns the files. What is there is not fetched again."""
    if wrong := [name for name in packages if not _NAME.fullmatch(name)]:
        raise RuntimeFailure(f"{wrong[0]!r} is no Debian package name")
    for program, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("tar", "tar")):
        if shutil.which(program) is None:
            raise RuntimeFailure(f"{program} is not installed: images are built with Debian's own tools ({package})")
    wanted = [*BASE, *packages]
    archives = cache / "archives"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    (cache / "status").touch()
    # apt names only what it would still download, so it is asked with a directory that stays empty.
    (cache / "none/partial").mkdir(parents=True, exist_ok=True)
    found = plan(_apt(cache, cache / "none", "--print-uris", "install", *wanted))
    if not all(_have(package, archives) for package in found):
        _apt(cache, archives, "--download-only", "install", *wanted)
    return [archives / package.file for package in found]


def plan(printed: str) -> list[Package]:
    """The packages that `apt-get --print-uris` named, in its order."""
    return [Package(m["file"], int(m["size"])) for m in map(_LINE.match, printed.splitlines()) if m]


def _apt(cache: Path, archives: Path, *arguments: str) -> str:
    options = {
        "Dir::State::status": cache / "status", "Dir::Cache": cache, "Dir::Cache::archives": archives,
        "APT::Install-Recommends": "false", "APT::Sandbox::User": "root", "Debug::NoLocking": "true",
        "APT::Keep-Downloaded-Packages": "true",
    }  # fmt: skip
    argv = ["apt-get", "-qq", "-y", *(f"-o{key}={value}" for key, value in options.items()), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
    if done.returncode:
        lines = [line.removeprefix("E: ") for line in done.stderr.splitlines() if line.startswith("E: ")]
        why = lines[0] if lines else f"apt-get ended with {done.returncode}"
        hint = ": try apt-get update" if "Unable to locate" in why else ""
        raise RuntimeFailure(f"{why}{hint}")
    return done.stdout


def _have(package: Package, archives: Path) -> bool:
    """Downloaded already, by us or by the machine's own apt."""
    ours, machines = archives / package.file, _MACHINE_CACHE / package.file
    with contextlib.suppress(OSError):
        if ours.stat().st_size == package.size:
            return True
    with contextlib.suppress(OSError):
        if machines.stat().st_size == package.size:
            ours.unlink(missing_ok=True)
            ours.symlink_to(machines)
            return True
    return False


def _skeleton(root: Path) -> None:
    for name in _MERGED[:4]:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "usr/lib64").mkdir(exist_ok=True)
    (root / "lib64").symlink_to("usr/lib64")


def _unpack(archive: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as package:
        tar = subprocess.run(
            ["tar", "-x", "-C", str(root), "--keep-directory-symlink", "--numeric-owner", "--preserve-permissions",
             *(f"--exclude=./{pattern}" for pattern in _LEFT_OUT)],
            stdin=package.stdout, capture_output=True, text=True,
        )  # fmt: skip
    if package.returncode or tar.returncode:
        raise RuntimeFailure(f"cannot unpack {archive.name}: {tar.stderr.strip() or 'dpkg-deb failed'}")


def settle(root: Path) -> None:
    """What the base packages' scripts would have done."""
    for name in ("passwd", "group"):
        master = root / "usr/share/base-passwd" / f"{name}.master"
        if master.exists():
            shutil.copyfile(master, root / "etc" / name)
    for name, mode in (("proc", 0o555), ("sys", 0o555), ("dev", 0o755), ("run", 0o755), ("tmp", 0o1777)):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(mode)
    if (root / "usr/bin/mawk").exists() and not (root / "usr/bin/awk").is_symlink():
        (root / "usr/bin/awk").symlink_to("mawk")
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    if certificates:
        (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        bundle = "".join(c.read_text().rstrip("\n") + "\n" for c in certificates)
        (root / "etc/ssl/certs/ca-certificates.crt").write_text(bundle)
    subprocess.run(["ldconfig", "-r", str(root)], check=False, capture_output=True, env={"PATH": "/usr/sbin:/sbin"})
