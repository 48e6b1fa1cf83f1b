"""Every page of docs/questions is true: its commands run, and print what the page shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cluster import KUBECTLS, ROOT, Cluster, Kubectl
from tests.e2e.transcript import Transcript, steps

PAGES = sorted(path for path in (ROOT / "docs" / "questions").glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, cluster: Cluster, kubectl: Kubectl, tmp_path: Path) -> None:
    shell = Shell(cluster, kubectl, tmp_path)
    transcript = Transcript()
    found = steps(page)
    assert found, f"{page.name} has no command"
    for step in found:
        code, printed = shell.run(step.command)
        where = f"{page.name}, line {step.line}:\n$ {step.command}\n{printed}[exit code {code}]"
        assert (code != 0) == step.fails, where
        expected = "\n".join(step.expected)
        assert transcript.matches(step.expected, printed), f"{where}\nexpected:\n{expected}\nwhere {transcript.values}"


class Shell:
    """bash, with kubectl and sampan pointed at the test's cluster and namespace; variables live on between commands."""

    def __init__(self, cluster: Cluster, kubectl: Kubectl, directory: Path) -> None:
        config = directory / "kubeconfig"
        config.write_bytes(cluster.kubeconfig.read_bytes())
        bin_directory = directory / "bin"
        bin_directory.mkdir()
        (bin_directory / "kubectl").symlink_to(KUBECTLS[kubectl.version])
        sampan = bin_directory / "sampan"
        sampan.write_text(f'#!/bin/sh\nverb=$1; shift\n[ "$verb" = node ] && verb="node $1" && shift\n'
                          f'exec "{sys.executable}" -m sampan $verb --name {cluster.name} '
                          f'--data-dir "{cluster.data_dir}" "$@"\n')
        sampan.chmod(0o755)
        self._env = os.environ | {"PATH": f"{bin_directory}:{os.environ['PATH']}", "KUBECONFIG": str(config)}
        self._state = directory / "state"
        self._state.write_text("")
        self._directory = directory / "here"
        self._directory.mkdir()
        code, printed = self.run(f"kubectl config set-context --current --namespace {kubectl.namespace}")
        assert code == 0, printed

    def run(self, command: str) -> tuple[int, str]:
        script = (f". '{self._state}'\n{command}\ncode=$?\n"
                  f"declare -p | grep -E '^declare -- [a-z]' > '{self._state}'\nexit $code")
        done = subprocess.run(["bash", "-o", "pipefail", "-c", script], env=self._env, cwd=self._directory, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        return done.returncode, done.stdout
