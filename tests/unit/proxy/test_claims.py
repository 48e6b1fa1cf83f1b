"""Claims against a simple model: replaying the diffs must give what the first claimants want."""

from hypothesis import given
from hypothesis import strategies as st

from sampan.proxy.claims import Claims, Diff


def apply(kernel, diff):
    for key in diff.remove:
        del kernel[key]  # deleting what is not there is an error in the kernel too
    for key, value in diff.add.items():
        assert key not in kernel
        kernel[key] = value


def step(claims, kernel, service, wanted):
    diff = Diff()
    claims.update(service, wanted, diff)
    apply(kernel, diff)


def test_the_first_to_ask_owns_and_the_next_inherits():
    claims, kernel = Claims(), {}
    step(claims, kernel, "a", {"x": "1"})
    step(claims, kernel, "b", {"x": "2", "y": "3"})
    assert kernel == {"x": "1", "y": "3"}
    step(claims, kernel, "a", {})
    assert kernel == {"x": "2", "y": "3"}


def test_who_waits_can_give_up():
    claims, kernel = Claims(), {}
    step(claims, kernel, "a", {"x": "1"})
    step(claims, kernel, "b", {"x": "2"})
    step(claims, kernel, "b", {})
    step(claims, kernel, "a", {})
    assert kernel == {}


def test_a_changed_value_is_removed_and_added():
    claims, kernel = Claims(), {}
    step(claims, kernel, "a", {"x": "1", "same": "1"})
    diff = Diff()
    claims.update("a", {"x": "2", "same": "1"}, diff)
    assert (diff.remove, diff.add) == (["x"], {"x": "2"})


wants = st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12"), max_size=3)
histories = st.lists(st.lists(st.tuples(st.sampled_from("abc"), wants), min_size=1, max_size=3), max_size=12)


@given(histories)
def test_any_history_in_any_batches_ends_with_one_owner_for_each_element(history):
    claims, kernel, last = Claims(), {}, {}
    for batch in history:
        diff = Diff()
        for service, wanted in batch:
            claims.update(service, dict(wanted), diff)
            last[service] = wanted
        apply(kernel, diff)
    assert set(kernel) == {key for wanted in last.values() for key in wanted}
    for key, value in kernel.items():
        assert value in {wanted[key] for wanted in last.values() if key in wanted}
