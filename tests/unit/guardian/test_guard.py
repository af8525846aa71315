"""The guard's order of steps: wherever it is stopped or killed, no address answers past a deadline or after a session's
end."""

import random

import pytest

from tests.unit.guardian.kernel import Kernel
from worker.guardian import guard, wire
from worker.guardian.guard import Guard

A, B = "10.1.1.1", "2001:db8::1"
VIPS = (wire.Address(A, 32, "eth1"), wire.Address(B, 128, "eth1"))


class Bench:
    """A guard on a kernel."""

    def __init__(self) -> None:
        self.kernel, self.guard = Kernel(), Guard()
        self.do(self.guard.configure(VIPS))

    def do(self, steps: guard.Steps) -> list[wire.Message]:
        """Have it take the steps; returns the messages to the agent."""
        before = len(self.kernel.said)
        self.kernel.carry_out(steps)
        return self.kernel.said[before:]

    def extend(self, at: float, session: str = "s1") -> list[wire.Message]:
        return self.do(self.guard.extend(wire.Deadline(session, at, (session,))))

    def plumb(self, *names: str, epoch: int = 1, at: float = 1e9, session: str = "s1") -> list[wire.Message]:
        said = self.do(self.guard.plumb(wire.Plumb(tuple(wire.Grant(name, epoch) for name in names), session, at)))
        return said + self.do(self.guard.work())

    def unplumb(self, *names: str, epoch: int = 1) -> list[wire.Message]:
        return self.do(self.guard.unplumb(wire.Unplumb(tuple(wire.Grant(name, epoch) for name in names), "t")))

    def take_steps_anew(self) -> None:
        self.kernel.taken.clear()


@pytest.fixture
def bench() -> Bench:
    """A guard that holds both addresses until 1001.5."""
    made = Bench()
    assert made.extend(1001.5) == [wire.Kept("s1", 1001.5)]
    made.plumb(A, B)
    assert made.kernel.answers() == {A, B}
    made.take_steps_anew()
    return made


def test_going_down_closes_unplumbs_then_ends_the_session(bench: Bench) -> None:
    assert bench.do(bench.guard.go_down("so")) == [wire.Down("s1", "so")]
    assert bench.kernel.kinds() == ["Close", "Remove", "EndSession"]
    assert bench.kernel.ended == ["s1"]


@pytest.mark.parametrize("upto", range(1, 3))
def test_interrupted_going_down_leaves_the_host_silent(bench: Bench, upto: int) -> None:
    assert not bench.kernel.carry_out(bench.guard.go_down("so"), upto)
    assert bench.kernel.answers() == set()
    assert bench.kernel.ended == []


def test_session_with_unremovable_addresses_is_left_to_age(bench: Bench) -> None:
    bench.kernel.stuck.add(A)
    assert bench.do(bench.guard.go_down("so")) == [wire.Down("s1", "so; what is left of it ages out")]
    assert bench.kernel.ended == []


def test_a_fence_that_stands_is_extended_without_unplumbing(bench: Bench) -> None:
    assert bench.extend(1002.0) == [wire.Kept("s1", 1002.0)]
    assert bench.kernel.kinds() == ["Arm", "OpenFence"]
    assert bench.kernel.open_until == 1002.0


def test_an_earlier_deadline_never_shortens_the_fence(bench: Bench) -> None:
    assert bench.extend(1001.2) == [wire.Kept("s1", 1001.2)]
    assert bench.kernel.open_until == 1001.5


def test_lapsed_fence_opens_after_sweep_in_same_session(bench: Bench) -> None:
    bench.kernel.now = 1001.6
    assert bench.extend(1003.0) == [wire.Kept("s1", 1003.0)]
    assert bench.kernel.kinds() == ["Close", "Remove", "Arm", "OpenFence"]
    assert bench.kernel.answers() == set()
    bench.do(bench.guard.work())
    assert bench.kernel.answers() == {A, B}


def test_another_session_begins_with_nothing(bench: Bench) -> None:
    assert bench.extend(1003.0, "s2") == [wire.Kept("s2", 1003.0)]
    assert not bench.guard.waiting
    assert bench.kernel.plumbed == {}


def test_a_deadline_that_has_passed_does_nothing(bench: Bench) -> None:
    bench.kernel.now = 1010.0
    assert bench.extend(1010.0) == []
    assert bench.kernel.kinds() == []


def test_guardian_delayed_between_transactions_takes_a_new_token(bench: Bench) -> None:
    bench.kernel.stops = {2: 0.05}  # before Open: the clock and Arm come first
    assert bench.extend(1002.0) == [wire.Kept("s1", 1002.0)]
    assert bench.kernel.kinds() == ["Arm", "OpenFence", "Arm", "OpenFence"]


def test_guardian_stopped_past_the_deadline_opens_nothing(bench: Bench) -> None:
    bench.kernel.stops = {2: 5.0}
    bench.extend(1002.0)
    assert bench.kernel.answers() == set()
    assert bench.kernel.plumbed == {}


def test_fence_that_lapses_early_opens_on_nothing_plumbed(bench: Bench) -> None:
    bench.kernel.stops = {1: 2.0}  # after the clock was read, before Arm
    bench.extend(1003.5)
    assert bench.kernel.kinds() == ["Arm", "Remove", "Rebuild", "Arm", "OpenFence"]
    assert bench.kernel.answers() == set()
    bench.do(bench.guard.work())
    assert bench.kernel.answers() == {A, B}


def test_a_refused_fence_is_made_anew_around_nothing(bench: Bench) -> None:
    bench.kernel.refuses = {guard.Arm}
    said = bench.extend(1002.0)
    assert bench.kernel.kinds() == ["Arm", "Arm", "Remove", "Rebuild", "Arm", "Arm", "Close", "EndSession"]
    assert said == [wire.Down("s1", "the kernel refuses the fence")]


def test_touched_fence_is_rebuilt_and_addresses_come_back(bench: Bench) -> None:
    bench.do(bench.guard.touched())
    assert bench.kernel.kinds() == ["Remove", "Rebuild", "Arm", "OpenFence"]
    bench.do(bench.guard.work())
    assert bench.kernel.answers() == {A, B}


def test_nothing_opens_over_an_unremovable_address(bench: Bench) -> None:
    bench.kernel.now, bench.kernel.stuck = 1001.6, {A}
    assert isinstance(bench.extend(1003.0)[0], wire.Down)
    assert bench.kernel.answers() == set()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"epoch": 3}, "this epoch of it was released"),
        ({"session": "s0"}, "its session is over"),
        ({"at": 999.0}, "its time has passed"),
        ({"now": 1001.5}, "its time has passed"),
    ],
)
def test_what_may_not_be_plumbed_is_refused(bench: Bench, change: dict[str, object], reason: str) -> None:
    bench.unplumb(A, epoch=3)
    bench.kernel.now = float(str(change.pop("now", 1000.0)))
    said = bench.plumb(A, **{"epoch": 4, **change})  # type: ignore[arg-type]
    assert [each.reason for each in said if isinstance(each, wire.NotPlumbed)] == [reason]
    assert A not in bench.kernel.plumbed


def test_an_address_outside_of_the_configuration_is_refused(bench: Bench) -> None:
    said = bench.plumb("10.9.9.9")
    assert said == [wire.NotPlumbed("10.9.9.9", 1, guard.NOT_OURS)]


def test_a_release_before_its_plumbing_wins(bench: Bench) -> None:
    bench.do(bench.guard.plumb(wire.Plumb((wire.Grant(A, 2),), "s1", 1e9)))
    assert bench.unplumb(A, epoch=2) == [wire.Unplumbed("t")]
    assert not bench.guard.waiting
    assert A not in bench.kernel.plumbed


def test_vip_that_cannot_be_unplumbed_stays_held(bench: Bench) -> None:
    bench.kernel.stuck.add(A)
    assert bench.unplumb(A, B) == [wire.Unplumbed("t", ((A, "busy"),))]
    assert set(bench.guard.held) == {A}


def test_plumbing_that_is_under_way_ends_later(bench: Bench) -> None:
    bench.unplumb(A, B)
    bench.kernel.cannot = {A: None, B: None}
    assert bench.plumb(A, B, epoch=2) == []
    assert bench.do(bench.guard.finished(A, 2, "no quota")) == [wire.NotPlumbed(A, 2, "no quota")]
    assert bench.do(bench.guard.finished(B, 1, "")) == []
    assert bench.do(bench.guard.finished(B, 2, "")) == [wire.Plumbed(B, 2, 0.0)]
    assert set(bench.guard.held) == {B}


def test_cancelled_plumbing_is_not_reported_as_done(bench: Bench) -> None:
    bench.unplumb(A, B)
    bench.kernel.cannot = {A: None}
    bench.plumb(A, epoch=2)
    bench.unplumb(A, epoch=2)
    assert bench.do(bench.guard.finished(A, 2, "")) == []


def test_plumbed_vip_that_fails_again_is_unplumbed(bench: Bench) -> None:
    bench.kernel.cannot = {A: "eth1 is down"}
    assert bench.plumb(A) == [wire.NotPlumbed(A, 1, "eth1 is down")]
    assert set(bench.kernel.plumbed) == {B}


def test_work_of_a_failed_program_is_undone(bench: Bench) -> None:
    bench.unplumb(A)
    bench.kernel.cannot = {A: None}
    bench.plumb(A, epoch=2)
    bench.take_steps_anew()
    assert bench.do(bench.guard.finished(A, 2, "its program took too long")) == [
        wire.NotPlumbed(A, 2, "its program took too long")
    ]
    assert bench.kernel.kinds() == ["Remove"]


def test_failed_and_stuck_address_goes_to_no_other(bench: Bench) -> None:
    bench.kernel.cannot, bench.kernel.stuck = {A: "eth1 is down"}, {A}
    assert bench.plumb(A) == []
    assert bench.unplumb(A) == [wire.Unplumbed("t", ((A, "busy"),))]


def test_what_cannot_be_mended_is_given_up(bench: Bench) -> None:
    bench.kernel.cannot = {A: "eth1 is down"}
    assert bench.do(bench.guard.check()) == [wire.NotPlumbed(A, 1, "eth1 is down")]
    assert set(bench.guard.held) == {B}


def test_rival_is_answered_but_believed_after_a_stop(bench: Bench) -> None:
    assert bench.do(bench.guard.rival(A, "02:00:00:00:00:01", resumed=False)) == []
    assert bench.kernel.kinds() == ["Announce"]
    said = bench.do(bench.guard.rival(A, "02:00:00:00:00:01", resumed=True))
    assert said == [wire.NotPlumbed(A, 1, "another host announces it: 02:00:00:00:00:01")]
    assert set(bench.kernel.plumbed) == {B}


def test_only_a_few_are_plumbed_at_once() -> None:
    bench = Bench()
    vips = tuple(wire.Address(f"10.2.{each // 250}.{each % 250 + 1}", 32, "eth1") for each in range(1000))
    bench.do(bench.guard.configure(vips))
    bench.extend(1001.5)
    bench.plumb(*(each.address for each in vips))
    assert 0 < len(bench.kernel.plumbed) < 200
    while bench.guard.has_work:
        bench.do(bench.guard.work())
    assert len(bench.kernel.plumbed) == 1000


def test_thousands_are_unplumbed_gradually_and_answered_together() -> None:
    bench = Bench()
    vips = tuple(wire.Address(f"10.2.{each // 250}.{each % 250 + 1}", 32, "eth1") for each in range(1000))
    bench.do(bench.guard.configure(vips))
    bench.extend(1001.5)
    bench.plumb(*(each.address for each in vips))
    while bench.guard.has_work:
        bench.do(bench.guard.work())
    said = bench.unplumb(*(each.address for each in vips))
    assert said == []
    assert len(bench.kernel.plumbed) > 800
    bench.do(bench.guard.plumb(wire.Plumb((wire.Grant(vips[-1].address, 2),), "s1", 1e9)))
    while bench.kernel.plumbed:
        assert said == []
        said = bench.do(bench.guard.work())
    assert said == [wire.Unplumbed("t")]
    assert bench.do(bench.guard.work()) == [wire.Plumbed(vips[-1].address, 2, 0.0)]


def test_removal_is_not_undone_by_a_sweep() -> None:
    bench = Bench()
    vips = tuple(wire.Address(f"10.2.0.{each + 1}", 32, "eth1") for each in range(200))
    bench.do(bench.guard.configure(vips))
    bench.extend(1001.5)
    bench.plumb(*(each.address for each in vips))
    while bench.guard.has_work:
        bench.do(bench.guard.work())
    bench.unplumb(*(each.address for each in vips), epoch=0)
    bench.do(bench.guard.touched())
    while bench.guard.has_work:
        bench.do(bench.guard.work())
    assert bench.kernel.plumbed == {}


@pytest.mark.parametrize("seed", range(300))
def test_random_stops_leave_no_answer_outside_the_session(seed: int) -> None:
    """One host breaks the law if an address answers past every given deadline, or after the end of its session."""
    drawn = random.Random(seed)
    bench, latest, session = Bench(), 0.0, 0
    for _ in range(60):
        kernel = bench.kernel
        kernel.now += drawn.choice((0.0, 0.1, 0.4))
        if drawn.random() < 0.3:
            kernel.stops[len(kernel.taken) + drawn.randrange(8)] = drawn.choice((0.01, 0.03, 1.0, 2.0))
        kernel.stuck = {A} if drawn.random() < 0.05 else set()
        kernel.refuses = {drawn.choice((guard.Arm, guard.OpenFence))} if drawn.random() < 0.05 else set()
        session += drawn.random() < 0.1 or f"s{session}" in kernel.ended
        name, at = f"s{session}", kernel.now + 1.5
        what = drawn.randrange(6)
        if what <= 1:
            latest = max(latest, at)
            steps = bench.guard.extend(wire.Deadline(name, at))
        elif what == 2:
            bench.do(bench.guard.plumb(wire.Plumb((wire.Grant(drawn.choice((A, B)), drawn.randrange(9)),), name, at)))
            steps = bench.guard.work()
        elif what == 3:
            steps = bench.guard.unplumb(wire.Unplumb((wire.Grant(A, drawn.randrange(9)),), "t"))
        elif what == 4:
            steps = bench.guard.touched()
        else:
            steps = bench.guard.timer()
        ended = len(kernel.ended)
        if not kernel.carry_out(steps, drawn.randrange(9) if drawn.random() < 0.03 else None):
            kernel.stuck = set()
            bench.guard = Guard()  # killed here; the next guard closes the fence and sweeps before it serves
            kernel.open_until, kernel.plumbed = -1.0, {}
            bench.do(bench.guard.configure(VIPS))
        assert not kernel.answers() or kernel.now < latest
        if len(kernel.ended) > ended:
            assert kernel.answers() == set()
        assert set(kernel.plumbed) <= set(bench.guard.held) | kernel.stuck


def test_ended_session_is_not_extended_again(bench: Bench) -> None:
    bench.do(bench.guard.go_down("so"))
    assert bench.extend(1002.0) == []
    assert bench.kernel.answers() == set()


def test_touched_fence_is_not_rebuilt_around_stuck_address(bench: Bench) -> None:
    bench.kernel.stuck = {A}
    assert isinstance(bench.do(bench.guard.touched())[-1], wire.Down)
    assert bench.kernel.answers() == set()
