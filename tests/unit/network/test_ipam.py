"""Addresses: one owner each, reused as late as possible, right again after a crash at any point."""

import pytest

from sampan.network.ipam import Addresses

RANGE = "10.244.0.0/29"  # six hosts, .1 is the gateway


def addresses(path):
    return Addresses(path, RANGE, ["10.244.0.1"])


def test_each_owner_gets_an_address_of_its_own(tmp_path):
    pool = addresses(tmp_path)
    given = [pool.allocate(f"pod{i}") for i in range(5)]
    assert given == [f"10.244.0.{i}" for i in range(2, 7)]


def test_a_second_call_returns_the_same_address(tmp_path):
    pool = addresses(tmp_path)
    assert pool.allocate("a") == pool.allocate("a")


def test_an_empty_pool_is_an_error_that_names_the_range(tmp_path):
    pool = addresses(tmp_path)
    for i in range(5):
        pool.allocate(f"pod{i}")
    with pytest.raises(OSError, match=r"no address left in 10\.244\.0\.0/29"):
        pool.allocate("one too many")


def test_a_freed_address_is_used_again_last(tmp_path):
    pool = addresses(tmp_path)
    first = pool.allocate("a")
    pool.release("a")
    later = [pool.allocate(f"b{i}") for i in range(5)]
    assert later[-1] == first
    assert first not in later[:-1]


def test_release_twice_frees_once(tmp_path):
    pool = addresses(tmp_path)
    pool.allocate("a")
    pool.release("a")
    pool.release("a")
    given = [pool.allocate(f"b{i}") for i in range(5)]
    assert len(set(given)) == 5


def test_a_restart_keeps_owners_and_the_place_in_the_queue(tmp_path):
    pool = addresses(tmp_path)
    kept, freed = pool.allocate("kept"), pool.allocate("freed")
    pool.release("freed")
    again = addresses(tmp_path)
    assert again.of("kept") == kept
    assert again.owners() == {"kept"}
    assert again.allocate("new") not in (kept, freed)


def test_what_a_crash_left_half_written_is_cleared(tmp_path):
    (tmp_path / ".new-10.244.0.2").write_text("ha")
    (tmp_path / "10.244.0.3").write_text("")
    (tmp_path / "10.99.0.3").write_text("from a range given up")
    pool = addresses(tmp_path)
    assert pool.owners() == set()
    assert len({pool.allocate(f"pod{i}") for i in range(5)}) == 5
