"""A cluster for tests, driven only through its commands: ``sampan`` and the real kubectl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
#: Where scripts/test has put the images before it closed the way out.
DATA_DIR = Path(os.environ.get("SAMPAN_TEST_DATA_DIR", VENV / "test-data"))
#: Runs that go on at the same time on one machine need names of their own: cgroups are named after the cluster.
NAME = os.environ.get("SAMPAN_TEST_CLUSTER", "e2e")
KUBECTLS = {version: VENV / "kubectl" / version / "kubectl" for version in ("1.28", "1.33", "1.37")}
WAIT_SECONDS = 30.0


@dataclass
class Result:
    """What a command printed, and its exit code."""

    command: list[str]
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"$ {' '.join(self.command)}\n{self.out}{self.err}[exit code {self.code}]"


def run(command: list[str], *, stdin: str | bytes = "", env: dict[str, str] | None = None,
        timeout: float = 60, check: bool = True) -> Result:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(command, input=data, capture_output=True, timeout=timeout, env=env)
    result = Result(command, done.returncode, done.stdout.decode(errors="replace"),
                    done.stderr.decode(errors="replace"))
    if check:
        assert result.code == 0, str(result)
    return result


@dataclass
class Cluster:
    """One cluster. ``kubeconfig`` is a file of its own, so that no test meets the user's."""

    name: str
    kubeconfig: Path
    data_dir: Path = DATA_DIR
    up_options: list[str] = field(default_factory=list)

    def sampan(self, verb: str, *arguments: str, check: bool = True, timeout: float = 120) -> Result:
        first, *rest = verb.split()
        command = [sys.executable, "-m", "sampan", first, *rest, "--name", self.name, "--data-dir",
                   str(self.data_dir), *arguments]
        return run(command, check=check, timeout=timeout)

    def up(self, *options: str) -> Result:
        return self.sampan("up", "--no-egress", "--kubeconfig", str(self.kubeconfig), *self.up_options, *options)

    def down(self, *options: str) -> Result:
        return self.sampan("down", "--keep-images", "--kubeconfig", str(self.kubeconfig), *options, check=False)

    def node(self, *command: str, check: bool = True, timeout: float = 60) -> Result:
        """Run a command in the node's network namespace."""
        return self.sampan("node exec", "--", *command, check=check, timeout=timeout)

    def pid(self, what: str) -> int:
        """The process id of ``server`` or ``agent``."""
        pattern = "server/server.pid" if what == "server" else "nodes/*/agent.pid"
        (path,) = (self.data_dir / self.name).glob(pattern)
        return int(path.read_text())

    def kubectl(self, version: str = "1.33", namespace: str = "default") -> Kubectl:
        return Kubectl(self, version, namespace)


@dataclass
class Kubectl:
    """The real kubectl of one version, in one namespace."""

    cluster: Cluster
    version: str
    namespace: str

    @property
    def prefix(self) -> list[str]:
        return [str(KUBECTLS[self.version]), "--kubeconfig", str(self.cluster.kubeconfig),
                "--context", f"sampan-{self.cluster.name}", "--namespace", self.namespace]

    def __call__(self, *arguments: str, stdin: str | bytes = "", check: bool = True, timeout: float = 60) -> Result:
        return run([*self.prefix, *arguments], stdin=stdin, check=check, timeout=timeout)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """For what goes on until it is stopped: get -w, logs -f, port-forward, attach."""
        return subprocess.Popen([*self.prefix, *arguments], **options)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json").out)

    def apply(self, manifest: str) -> Result:
        return self("apply", "-f", "-", stdin=manifest)

    def wait(self, what: str, condition: str, seconds: float = WAIT_SECONDS) -> Result:
        return self("wait", what, f"--for={condition}", f"--timeout={seconds}s", timeout=seconds + 10)


def eventually(check: Any, seconds: float = WAIT_SECONDS, every: float = 0.1) -> Any:
    """Call until it returns something true; the last result or assertion is what a failure shows."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := check():
                return result
            problem: AssertionError | None = AssertionError(f"still {result!r} after {seconds} s")
        except AssertionError as error:
            problem = error
        except (KeyError, IndexError) as error:  # a field that is not there yet
            problem = AssertionError(f"still {error!r} after {seconds} s")
        if time.monotonic() > deadline:
            raise problem
        time.sleep(every)
