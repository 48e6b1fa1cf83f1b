"""logs, exec, attach, cp and port-forward: SPDY with kubectl 1.28, WebSocket from 1.33 on."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cluster import Kubectl, eventually, run


@pytest.fixture
def shell(each_kubectl: Kubectl, manifests: Path) -> Kubectl:
    """A pod ``shell`` that says "started" and repeats what it hears on stdin."""
    each_kubectl("apply", "-f", str(manifests / "shell.yaml"))
    each_kubectl.wait("pod/shell", "condition=Ready")
    return each_kubectl


def test_logs(shell: Kubectl) -> None:
    assert eventually(lambda: shell("logs", "shell").out) == "started\n"
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z started\n", shell("logs", "shell", "--timestamps").out)
    assert shell("logs", "shell", "--since=1h").out == "started\n"
    assert shell("logs", "shell", "--tail=0").out == ""
    refused = shell("logs", "shell", "--previous", check=False)
    assert refused.code == 1 and "previous terminated container" in refused.err


def test_logs_follow(each_kubectl: Kubectl) -> None:
    each_kubectl("run", "counting", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--",
                 "sh", "-c", "for n in 1 2 3; do echo line $n; sleep 0.3; done")
    eventually(lambda: each_kubectl("logs", "counting", check=False).code == 0)
    assert each_kubectl("logs", "-f", "counting").out == "line 1\nline 2\nline 3\n"
    assert each_kubectl("logs", "counting", "--tail=1").out == "line 3\n"


def test_logs_of_the_container_before(each_kubectl: Kubectl) -> None:
    each_kubectl("run", "crashing", "--image=busybox", "--image-pull-policy=IfNotPresent", "--",
                 "sh", "-c", "echo $(date +%s%N); exit 3")
    eventually(lambda: each_kubectl.json("get", "pod", "crashing")["status"]["containerStatuses"][0]["restartCount"])
    previous = eventually(lambda: each_kubectl("logs", "crashing", "--previous").out.strip())
    assert previous.isdigit()
    row = eventually(lambda: (out := each_kubectl("get", "pod", "crashing").out) and "CrashLoopBackOff" in out and out)
    assert "CrashLoopBackOff" in row


def test_exec(shell: Kubectl) -> None:
    assert shell("exec", "shell", "--", "echo", "hello").out == "hello\n"
    assert shell("exec", "-i", "shell", "--", "cat", stdin="through stdin\n").out == "through stdin\n"
    assert shell("exec", "-i", "shell", "--", "wc", "-c", stdin=b"x" * 3_000_000).out.strip() == "3000000"
    both = shell("exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (both.code, both.out) == (7, "out\n")
    assert both.err.startswith("err\n") and "exit code 7" in both.err
    missing = shell("exec", "shell", "--", "no-such-program", check=False)
    assert missing.code != 0 and "no-such-program" in missing.err


def test_exec_carries_a_large_output_whole(shell: Kubectl) -> None:
    assert shell("exec", "shell", "--", "sh", "-c", "yes abcdefg | head -c 5000000").out == "abcdefg\n" * 625_000


def test_exec_with_a_terminal(shell: Kubectl) -> None:
    # The size is sent once the command runs, so it may come some milliseconds after the first line.
    script = "tty; until stty size | grep -v \"^0 0\"; do :; done"
    command = [*shell.prefix, "exec", "-it", "shell", "--", "sh", "-c", script]
    out = run(["script", "-qec", f"stty rows 33 cols 77; {' '.join(command[:-1])} '{command[-1]}'", "/dev/null"]).out
    assert "/dev/pts/" in out
    assert "33 77" in out


def test_exec_shows_what_is_on_the_wire(shell: Kubectl) -> None:
    err = shell("exec", "shell", "-v=7", "--", "env").err
    assert re.search(r"GET.*/api/v1/namespaces/\S+/pods/shell\b", err), err
    assert re.search(r"/pods/shell/exec\?command=env&container=main", err), err
    spdy = "X-Stream-Protocol-Version: v4.channel.k8s.io" in err
    assert spdy == (shell.version == "1.28"), err
    assert ("v5.channel.k8s.io" in err) == (shell.version != "1.28"), err  # the WebSocket protocol is newer
    assert "101 Switching Protocols" in shell("exec", "shell", "-v=9", "--", "env").err


def test_attach_reaches_the_main_process(shell: Kubectl) -> None:
    attached = shell.start("attach", "-i", "shell", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    assert attached.stdin and attached.stdout and attached.stderr
    try:
        attached.stdin.write(b"me\n")
        attached.stdin.flush()
        line = attached.stdout.readline()
        while line and b"heard" not in line:
            line = attached.stdout.readline()
        assert line == b"heard me\n"
    finally:
        attached.terminate()
        attached.communicate()
    assert "heard me" in eventually(lambda: shell("logs", "shell").out)


def test_cp_both_ways(shell: Kubectl, tmp_path: Path) -> None:
    data = bytes(range(256)) * 4096
    (tmp_path / "there").write_bytes(data)
    shell("cp", str(tmp_path / "there"), f"{shell.namespace}/shell:/tmp/file")
    shell("cp", f"{shell.namespace}/shell:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data


def test_port_forward(each_kubectl: Kubectl) -> None:
    each_kubectl("run", "web", "--image=nginx", "--image-pull-policy=IfNotPresent")
    each_kubectl.wait("pod/web", "condition=Ready")
    forwarding = each_kubectl.start("port-forward", "pod/web", ":80", stdout=subprocess.PIPE)
    assert forwarding.stdout is not None
    try:
        port = re.search(rb"127.0.0.1:(\d+)", forwarding.stdout.readline())
        assert port is not None
        for _ in range(3):
            assert "nginx" in run(["curl", "-sS", "--max-time", "10", f"http://127.0.0.1:{int(port[1])}/"]).out
        with socket.create_connection(("127.0.0.1", int(port[1])), 5) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        forwarding.terminate()
        forwarding.wait()
        forwarding.stdout.close()
