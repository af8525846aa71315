"""The judge itself: it finds each kind of broken promise, and nothing if all promises were kept."""

from typing import Any

import pytest

from tests.fault.ledger import Abort, Ledger, Mark, Sample, Sent
from tests.fault.plan import POINTS, Kind, draw
from tests.fault.vetoes import Veto


def ledger(*marks: str, reports: tuple[dict[str, str], ...] = ()) -> Ledger:
    """A ledger of one command `t`, with the nodes' notes (`ran east1 10.5`) and the reported states."""
    made = Ledger(ttl_s=2.0)
    for mark in marks:
        what, node, at = mark.split()
        made.marks.append(Mark(what, "t", node, 1, float(at)))
    made.sent["t"] = Sent("t", "ID", 10.0, expected=2)
    made.reports["t"] = [_report(states) for states in reports]
    return made


def _report(states: dict[str, str]) -> dict[str, Any]:
    return {"nodes": [{"node": node, "state": state} for node, state in states.items()]}


BOTH_OK = {"east1": "ok", "east2": "ok"}
KEPT = ("heard east1 10.1", "heard east2 10.1", "ran east1 10.2", "ran east2 11.9")


def test_where_all_was_kept_nothing_is_found() -> None:
    assert ledger(*KEPT, reports=({"east1": "ok", "east2": "pending"}, BOTH_OK)).violations() == []


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (ledger(*KEPT, "ran east1 10.3"), "t ran 2 times on east1"),
        (ledger("heard east1 10.1", "ran east1 13.1"), "t ran on east1 3.000 s after it was heard there"),
        (ledger(reports=(BOTH_OK,)), "t is reported ok for east1, which did not run it"),
        (ledger(reports=({"east1": "lost"},)), "t expected 2 nodes and was reported with ['east1']"),
        (
            ledger(*KEPT, "done east1 10.5", reports=({"east1": "aborted", "east2": "ok"},)),
            "t is reported aborted for east1, which came to the end of it",
        ),
        *(
            (
                ledger(*KEPT, reports=({"east1": state, "east2": "ok"},)),
                f"t is reported {state} for east1, which ran it",
            )
            for state in ("skipped", "missed", "refused")
        ),
        (
            ledger(*KEPT, reports=({"east1": "failed", "east2": "ok"},)),
            "t is reported failed for east1, and cannot fail",
        ),
        (
            ledger(*KEPT, reports=({"east1": "ok", "west1": "pending"},)),
            "t ran on east2, which is not in its report",
        ),
        (
            ledger(reports=({"east1": "lost", "east2": "lost"}, {"east1": "lost", "west1": "lost"})),
            "t was reported with different nodes: [('east1', 'east2'), ('east1', 'west1')]",
        ),
    ],
)
def test_each_broken_promise_is_found(made: Ledger, found: str) -> None:
    assert found in made.violations()


def test_refused_but_heard_command_is_found() -> None:
    made = ledger("heard east1 10.1")
    made.refused["t"] = "nothing was sent"
    assert made.violations() == ["t was heard, and its sender told: nothing was sent"]


def test_run_after_an_answered_abort_is_found() -> None:
    made = ledger("heard east1 10.1", "ran east1 11.0", "heard east2 10.1", "ran east2 11.0")
    made.aborts["t"] = Abort(10.5, {"east1": "aborted", "east2": "running"})
    assert made.violations() == ["t ran on east1 0.500 s after its abort was answered"]


def test_rolled_back_servers_abort_is_no_violation() -> None:
    made = ledger(*KEPT, "done east1 10.5", reports=({"east1": "aborted", "east2": "ok"},))
    made.losses.append(10.6)
    assert made.violations() == []


def test_restarted_server_forgets_a_command_after_its_loss() -> None:
    made = ledger()
    made.losses.append(9.0)
    assert not made.forgotten("t")
    made.sent["t"].asked_at = 8.0
    assert made.forgotten("t")


def test_batched_commands_time_starts_after_its_sending() -> None:
    made = ledger("heard east1 13.0", "ran east1 13.1")
    made.rolling.add("t")
    for second in range(10, 14):
        made.clock.add(Sample(second, second + 0.01, "1", second * 1000))
    assert made.violations() == []


def test_run_after_expiry_on_lease_clock_is_found() -> None:
    made = ledger("heard east1 13.0", "ran east1 13.1")
    for second in range(10, 14):
        made.clock.add(Sample(second, second + 0.01, "1", second * 1000))
    assert made.violations() == ["t ran on east1 3.000 s of the lease clock after it was sent"]


def test_lease_clock_stands_still_while_redis_is_away() -> None:
    made = ledger("heard east1 13.0", "ran east1 13.1")
    made.clock.add(Sample(10, 10.01, "1", 10_000))
    made.clock.add(Sample(12, 12.01, "1", 10_400))
    made.clock.add(Sample(13, 13.01, "2", 99_000))
    assert made.violations() == []


def test_a_seed_draws_the_same_round_each_time() -> None:
    assert draw("x", 3, 20) == draw("x", 3, 20)
    assert draw("x", 3, 20) != draw("y", 3, 20)
    assert len(draw("x", 3, 20).faults) == 20


def test_thousand_faults_cover_every_kind_and_point() -> None:
    drawn = [fault for number in range(50) for fault in draw("x", number, 20).faults]
    assert {fault.kind for fault in drawn} == set(Kind)
    points = {(fault.kind, fault.script, fault.moment, fault.veto) for fault in drawn if fault.script}
    assert points == set(POINTS)
    assert {fault.veto for fault in drawn if fault.kind is Kind.REFUSE} == set(Veto)


def test_patient_round_only_has_short_refusals() -> None:
    patient = [drawn for number in range(50) if (drawn := draw("x", number, 20)).patient]
    assert len(patient) == 6
    assert all(fault.veto is not None and fault.for_s < 0.5 for drawn in patient for fault in drawn.faults)


def test_lost_command_is_found_despite_short_outages() -> None:
    made = ledger(*KEPT, reports=({"east1": "ok", "east2": "lost"},))
    assert made.violations() == []
    made.patient.add("t")
    (found,) = made.violations()
    assert found.startswith("t is reported lost for east2")
