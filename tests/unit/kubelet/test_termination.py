"""plan() of a pod that is to end."""

from sampan.kubelet.actions import Finish, RemoveContainer, StopContainer, StopSandbox, Termination, Unmount
from sampan.kubelet.plan import plan
from tests.unit.kubelet.pods import NOW, container, make_pod, ran, sandbox, seen

DELETED = {"deletionTimestamp": "2026-11-22T15:00:00Z", "deletionGracePeriodSeconds": 30}
POD = make_pod(meta=DELETED, init=[container("s1", restartPolicy="Always"), container("s2", restartPolicy="Always")])
END = Termination(NOW, 30)


def actions(observed, pod=POD):
    return plan(pod, observed).actions


def everything():
    return ran(POD, "s1"), ran(POD, "s2"), ran(POD, "app")


def test_main_containers_stop_first_and_sidecars_wait():
    step = plan(POD, seen(*everything(), termination=END))
    assert step.actions == (StopContainer("app-0", "app", NOW + 30),)
    assert step.wake_at == NOW + 30


def test_sidecars_stop_in_reverse_order():
    s1, s2, app = everything()
    ended = ran(POD, "app", "exited")
    assert actions(seen(s1, s2, ended, termination=END)) == (StopContainer("s2-0", "s2", NOW + 30),)
    assert actions(seen(s1, ran(POD, "s2", "exited"), ended, termination=END)) == (
        StopContainer("s1-0", "s1", NOW + 30),)


def test_all_are_killed_at_the_deadline():
    late = seen(*everything(), termination=END, now=NOW + 31, stopping={"app-0": NOW + 30})
    assert [a.id for a in actions(late)] == ["s1-0", "s2-0"]


def test_a_shorter_grace_period_hurries_a_stop_under_way():
    under_way = {"app-0": NOW + 30}
    assert actions(seen(*everything(), termination=END, stopping=under_way)) == ()
    shorter = seen(*everything(), termination=Termination(NOW, 1), stopping=under_way)
    assert actions(shorter) == (StopContainer("app-0", "app", NOW + 1),)


def test_sandbox_and_volumes_go_together_then_the_pod_is_finished():
    ended = [ran(POD, name, "exited") for name in ("s1", "s2", "app")]
    assert actions(seen(*ended, termination=END)) == (StopSandbox("s1"), Unmount())
    assert actions(seen(*ended, termination=END, stopped={"s1"})) == (Unmount(),)
    assert actions(seen(*ended, termination=END, stopped={"s1"}, unmounted=True)) == (Finish(),)


def test_nothing_is_finished_while_a_start_is_under_way():
    assert actions(seen(termination=END, busy={"app"})) == ()


def test_a_container_that_was_only_created_is_removed():
    left = ran(POD, "app", "created")
    assert RemoveContainer("app-0") in actions(seen(left, termination=END))


def test_never_started_pod_is_finished_without_a_sandbox():
    assert actions(seen(sandboxes=[], termination=END, unmounted=True)) == (Finish(),)


def test_a_pod_past_its_deadline_stops_but_stays_in_the_api():
    pod = make_pod()
    end = Termination(NOW, 30, "Failed", "DeadlineExceeded", "")
    assert actions(seen(ran(pod, "app"), termination=end), pod) == (StopContainer("app-0", "app", NOW + 30),)
    assert actions(seen(ran(pod, "app", "exited"), termination=end, stopped={"s1"}, unmounted=True), pod) == ()


def test_every_sandbox_is_stopped():
    old, new = sandbox("s0", ready=False), sandbox("s9", attempt=1)
    assert actions(seen(sandboxes=[old, new], termination=END)) == (StopSandbox("s0"), StopSandbox("s9"), Unmount())
