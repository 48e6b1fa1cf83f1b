"""Finding what belongs to a cluster, on a directory tree that stands in for the kernel's."""

import os
import subprocess
import sys

from sampan.cluster import purge


def test_a_cgroup_is_found_in_each_hierarchy(tmp_path):
    for mount in ("memory", "pids", "unified"):
        (tmp_path / mount / "sampan" / "one").mkdir(parents=True)
    (tmp_path / "cpu" / "sampan" / "other").mkdir(parents=True)
    (tmp_path / "sampan" / "one").mkdir(parents=True)
    found = {str(path.relative_to(tmp_path)) for path in purge.cgroup_directories("/sampan/one", tmp_path)}
    assert found == {"sampan/one", "memory/sampan/one", "pids/sampan/one", "unified/sampan/one"}


def test_processes_are_found_by_cgroup_and_by_command_line(tmp_path):
    marked = f"{tmp_path}/nodes/node-1/runtime"
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", marked], stdin=subprocess.PIPE)
    try:
        cgroup = tmp_path / "cgroup" / "pod"
        cgroup.mkdir(parents=True)
        (cgroup / "cgroup.procs").write_text("4194305\n0\n")  # 0: in another process namespace
        assert purge.processes_of(tmp_path, [tmp_path / "cgroup"]) == {child.pid, 4194305}
        purge.kill([child.pid, 4194305])
        assert child.wait(5) == -9
    finally:
        child.stdin.close()
        child.wait()


def test_our_own_process_is_never_among_them(tmp_path):
    assert os.getpid() not in purge.processes_of(tmp_path, [])


def test_cgroups_go_leaves_first(tmp_path):
    (tmp_path / "sampan" / "one" / "a" / "b").mkdir(parents=True)
    purge.remove_cgroup(tmp_path / "sampan" / "one")
    assert not (tmp_path / "sampan").exists()


def test_the_parent_stays_while_another_cluster_is_in_it(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "sampan" / name).mkdir(parents=True)
    purge.remove_cgroup(tmp_path / "sampan" / "one")
    assert (tmp_path / "sampan" / "two").is_dir()


def test_only_mounts_below_the_directory_count(tmp_path):
    assert purge.mount_points_below(tmp_path) == []
