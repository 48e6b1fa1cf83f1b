"""Daemons in the background: ready, failed, dead, silent."""

import os
import signal
from pathlib import Path

import pytest

from sampan.cluster import forked, launch
from sampan.cluster.config import ClusterError
from sampan.cluster.daemon import Daemon, hold_pid_file, say_ready, stop


@pytest.fixture
def daemon(tmp_path):
    one = Daemon("server", tmp_path / "server.pid", tmp_path / "logs" / "server.log", ("server", "--name", "x"))
    yield one
    stop(one, 1)


def started(daemon, run):
    return launch.start(daemon, lambda: run, forked.Job())


def serve(daemon, ready):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    hold_pid_file(daemon.pid_file)
    say_ready(ready)
    signal.pause()


def test_a_ready_daemon_has_its_pid_session_and_log(daemon):
    def run(ready):
        print(os.getcwd(), os.getsid(0) == os.getpid(), flush=True)
        serve(daemon, ready)

    one = started(daemon, run)
    launch.wait_ready([one], 10)
    assert daemon.pid() == one.pid != os.getpid()
    assert daemon.log_file.read_text() == "/ True\n"
    files = {os.readlink(fd) for fd in Path(f"/proc/{one.pid}/fd").iterdir()}
    assert files == {os.devnull, str(daemon.log_file), str(daemon.pid_file)}
    assert stop(daemon) and os.waitpid(one.pid, 0)[0] == one.pid
    assert daemon.pid() == 0 and not stop(daemon)


def test_why_it_could_not_start_is_told(daemon):
    with pytest.raises(ClusterError, match="the server could not start: no answer from it"):
        launch.wait_ready([started(daemon, lambda ready: say_ready(ready, "no answer\nfrom it"))], 10)


def test_the_last_words_of_one_that_died_are_told(daemon):
    def run(ready):
        raise RuntimeError("out of ideas")

    with pytest.raises(ClusterError, match=r"the server ended before it was ready \(RuntimeError: out of ideas\)"):
        launch.wait_ready([started(daemon, run)], 10)


def test_one_that_says_nothing_is_given_up(daemon):
    one = started(daemon, lambda ready: signal.pause())
    try:
        with pytest.raises(ClusterError, match="the server was not ready after 0 s"):
            launch.wait_ready([one], 0.05)
    finally:
        os.kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)


def test_with_threads_about_the_command_is_run(daemon, monkeypatch, tmp_path):
    """It refuses: there is no such cluster. That it says so is the proof that it ran."""
    monkeypatch.setattr(forked, "possible", lambda: False)
    monkeypatch.setenv("SAMPAN_DATA_DIR", str(tmp_path))
    with pytest.raises(ClusterError, match='no cluster "x"'):
        launch.wait_ready([started(daemon, lambda ready: None)], 30)
