"""Children by fork: what they say, how they end, what they leave of their parent's."""

import fcntl
import os
import signal
from pathlib import Path

import pytest

from sampan.cluster import forked
from sampan.cluster.config import ClusterError


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(autouse=True)
def one_thread():
    assert forked.possible(), os.listdir("/proc/self/task")


def test_a_child_ends_with_its_work_and_never_returns():
    assert end_of(forked.fork(lambda: None)) == 0


@pytest.mark.parametrize(("end", "code"), [(SystemExit(7), 7), (SystemExit("words"), 1), (ValueError("x"), 1)])
def test_what_ends_a_child_is_its_exit_code(end, code):
    def child():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the traceback
        raise end

    assert end_of(forked.fork(child)) == code


def test_a_job_is_done_by_somebody_else(tmp_path):
    job = forked.start(lambda: (tmp_path / "pid").write_text(str(os.getpid())) and None)
    job.wait()
    job.wait()
    assert int((tmp_path / "pid").read_text()) != os.getpid()


def test_a_job_says_why_it_failed():
    def work():
        raise ClusterError("no room for a key")

    with pytest.raises(ClusterError, match="no room for a key"):
        forked.start(work).wait()


def test_a_job_that_is_killed_has_failed():
    with pytest.raises(ClusterError, match="code -9"):
        forked.start(lambda: os.kill(os.getpid(), signal.SIGKILL)).wait()


@pytest.mark.parametrize(("fails", "code"), [(False, 0), (True, 1)])
def test_a_sibling_waits_for_a_job_and_leaves_the_words_to_the_parent(tmp_path, fails, code):
    gate, opens = os.pipe()

    def work():
        os.read(gate, 1)
        if fails:
            raise ClusterError("no room for a key")
        (tmp_path / "key").write_text("made")

    def sibling():
        job.wait_as_sibling()
        assert (tmp_path / "key").read_text() == "made"

    job = forked.start(work)
    pid = forked.fork(sibling)
    os.write(opens, b"1")
    assert end_of(pid) == code
    if fails:
        with pytest.raises(ClusterError, match="no room for a key"):
            job.wait()
    else:
        job.wait()


def test_with_threads_about_the_work_is_done_here(monkeypatch):
    monkeypatch.setattr(forked, "possible", lambda: False)
    done = []
    forked.start(lambda: done.append(os.getpid())).wait()
    assert done == [os.getpid()]


def test_a_lock_of_the_parent_does_not_live_on_in_a_child(tmp_path):
    """flock belongs to the open file, which a fork shares."""
    ready, say = os.pipe()
    gate, opens = os.pipe()
    with open(tmp_path / "lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def child():
            forked.close_files(say, gate)
            os.write(say, b"1")
            os.read(gate, 1)

        pid = forked.fork(child)
        os.read(ready, 1)
    with open(tmp_path / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(opens, b"1")
    assert end_of(pid) == 0


def test_ps_shows_what_a_child_is(tmp_path):
    def child():
        forked.set_title("sampan", "server", *["--name"] * 1000)
        (tmp_path / "line").write_bytes(Path("/proc/self/cmdline").read_bytes())
        (tmp_path / "comm").write_text(Path("/proc/self/comm").read_text())

    assert end_of(forked.fork(child)) == 0
    own = Path("/proc/self/cmdline").read_bytes()
    line = (tmp_path / "line").read_bytes()
    assert line.startswith(b"sampan\0server\0--name\0"[: len(own) - 1])
    assert len(line) <= len(own), "what does not fit is cut"
    assert (tmp_path / "comm").read_text() == "sampan server\n"
