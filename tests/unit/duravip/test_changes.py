"""The log lines and counts of the changes of a node's VIPs."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eccmgr.duravip.records import Late, VipRecord
from eccmgr.tally import Histogram
from tests.logged import Logged, LogOf
from worker.duravip.changes import Changes, Figures, Kind
from worker.duravip.model.actions import Wish
from worker.measuring import NodeFigures
from worker.metrics import node_exposition

VIP = "10.0.0.1"
WEST = "#ec0-7-1f9ac2d4#West1"


@pytest.fixture
def lines(log_of: LogOf) -> Logged:
    return log_of("worker.duravip.changes")


def changes() -> Changes:
    return Changes("east1", fresh_s=1.25)


def have(seen: Changes, record: VipRecord, reason: str = "its preferred node", at: float = 10.0) -> None:
    seen.asked(at, Wish(VIP, 0, reason), record)
    seen.owned(at + 0.25, VIP, 5)


def test_free_vip_logs_reason_epoch_and_duration(lines: Logged) -> None:
    seen = changes()
    have(seen, VipRecord())
    reason = "free; its preferred node"
    assert lines == [{"event": "vip owned", "log_level": "info", "vip": VIP, "epoch": 5, "reason": reason, "ms": 250.0}]
    assert (seen.counts[Kind.ACQUIRED], seen.addresses, seen.outage_s) == (1, (VIP,), None)


def test_plumbing_that_is_told_again_is_no_change(lines: Logged) -> None:
    seen = changes()
    have(seen, VipRecord())
    seen.owned(11.0, VIP, 5)
    assert len(lines) == sum(seen.counts.values()) == 1


def test_asking_again_does_not_shorten_the_duration(lines: Logged) -> None:
    seen = changes()
    seen.asked(9.0, Wish(VIP, 0, "x"), VipRecord())
    have(seen, VipRecord())
    assert lines[0]["ms"] == 1250.0


def test_duration_after_a_refusal_begins_with_the_retry(lines: Logged) -> None:
    seen = changes()
    seen.asked(1.0, Wish(VIP, 0, "x"), VipRecord())
    seen.refused(VIP)
    have(seen, VipRecord())
    assert lines[0]["ms"] == 250.0


def test_vip_taken_by_another_is_decided_next_time(lines: Logged) -> None:
    seen = changes()
    seen.asked(1.0, Wish(VIP, 0, "x"), VipRecord())
    seen.read(VIP, VipRecord(WEST, 4, 7))
    have(seen, VipRecord("", 4, 7, "east1", "move"), "move")
    assert (lines[0]["reason"], lines[0]["ms"]) == ("moved from West1; move", 250.0)


def test_a_move_says_from_which_node(lines: Logged) -> None:
    seen = changes()
    seen.read(VIP, VipRecord(WEST, 4, 7))
    seen.read(VIP, VipRecord("", 4, 7, "east1", "levelling"))
    have(seen, VipRecord("", 4, 7, "east1", "levelling"), "levelling")
    assert lines[0]["reason"] == "moved from West1; levelling"
    assert seen.counts[Kind.MOVED] == 1


def test_giver_of_a_vip_is_known_until_plumbed() -> None:
    seen = changes()
    seen.read(VIP, VipRecord(WEST, 4, 7))
    seen.asked(10.0, Wish(VIP, 4, "move"), VipRecord("", 4, 7, "east1", "move"))
    assert seen.giver(VIP) == "West1"
    seen.owned(10.1, VIP, 5)
    assert seen.giver(VIP) == ""
    seen.asked(11.0, Wish(VIP, 5, "x"), VipRecord("", 5, 7))
    assert seen.giver(VIP) == ""


def test_takeovers_outage_begins_with_its_owners_first_lateness(lines: Logged) -> None:
    seen = changes()
    for at in (8.0, 8.5, 9.0, 9.5):
        seen.late(at, [Late(WEST, 41)])
    have(seen, VipRecord(WEST, 4, 7))
    assert lines[0]["reason"] == "takeover of West1; its preferred node"
    assert seen.counts[Kind.TAKEN_OVER] == 1
    assert seen.outage_s == 2.25


def test_lateness_before_a_renewal_is_no_outage() -> None:
    seen = changes()
    seen.late(8.0, [Late(WEST, 41)])
    seen.late(9.0, [Late(WEST, 42)])
    have(seen, VipRecord(WEST, 4, 7))
    assert seen.outage_s == 1.25


def test_lateness_long_past_is_no_outage() -> None:
    seen = changes()
    seen.late(5.0, [Late(WEST, 41)])
    have(seen, VipRecord(WEST, 4, 7))
    assert seen.outage_s == 0.25


def test_our_previous_sessions_vips_are_regained(lines: Logged) -> None:
    seen = changes()
    have(seen, VipRecord("#ec0-1-1f9ac2d4#east1", 4, 7), "")
    assert (lines[0]["reason"], seen.counts[Kind.TAKEN_OVER]) == ("regained", 0)


def test_vip_given_up_says_target_reason_and_duration(lines: Logged) -> None:
    seen = changes()
    have(seen, VipRecord())
    seen.given_up(13.25, VIP, 5, "west1", "move")
    said = {"vip": VIP, "epoch": 5, "reason": "move", "to": "west1", "held_s": 3.0}
    assert lines[1:] == [{"event": "vip given up", "log_level": "info", **said}]
    assert (seen.counts[Kind.RELEASED], seen.addresses) == (1, ())


def test_lost_vip_is_one_warning_and_one_count(lines: Logged) -> None:
    seen = changes()
    have(seen, VipRecord())
    seen.lost(12.25, VIP, 5, "not renewed in time")
    seen.lost(12.25, VIP, 5, "our session was ended")
    said = {"vip": VIP, "epoch": 5, "reason": "not renewed in time", "held_s": 2.0}
    assert lines[1:] == [{"event": "vip lost", "log_level": "warning", **said}]
    assert (seen.counts[Kind.LOST], seen.addresses) == (1, ())


def read(figures: Figures) -> dict[str, float]:
    """The samples about VIPs, by name and the values of their labels. All have the label of the cluster."""
    took = Histogram()
    took.observe(0.02)
    ran = {("uptime", "ok"): 2, ("evil\n", "error"): 1}
    whole = NodeFigures("mail", True, figures, ran, frozenset({"uptime"}), took, {"running": 1})
    found = {}
    for family in text_string_to_metric_families(node_exposition(whole) + "\n"):
        for sample in family.samples:
            assert sample.labels.pop("cluster") == "mail"
            found[" ".join((sample.name, *sample.labels.values()))] = sample.value
    return found


def test_the_metrics_can_be_read_by_prometheus() -> None:
    counts = {kind: number for number, kind in enumerate(Kind, 1)}
    found = read(Figures((VIP, "10.1.1.9"), counts, 1.5, 0.25, "nftables", True))
    assert {name: value for name, value in found.items() if name.startswith("eccmgr_vip")} == {
        "eccmgr_vips_owned": 2,
        f"eccmgr_vip_owned {VIP}": 1,
        "eccmgr_vip_owned 10.1.1.9": 1,
        "eccmgr_vip_changes_total acquired": 1,
        "eccmgr_vip_changes_total taken_over": 2,
        "eccmgr_vip_changes_total moved": 3,
        "eccmgr_vip_changes_total released": 4,
        "eccmgr_vip_changes_total lost": 5,
        "eccmgr_vip_last_takeover_outage_seconds": 1.5,
        "eccmgr_vip_lease_age_seconds": 0.25,
        "eccmgr_vip_fence_open nftables": 1,
    }
    assert found["eccmgr_commands_run_total uptime ok"] == 2
    assert found["eccmgr_commands_run_total other error"] == 1
    assert found["eccmgr_command_run_seconds_bucket 0.025"] == 1
    assert found["eccmgr_jobs running"] == 1


def test_unmeasured_values_are_left_out_of_metrics() -> None:
    found = read(Figures((), dict.fromkeys(Kind, 0), None, None, "", False))
    assert not [name for name in found if name.startswith("eccmgr_vip") and "seconds" in name]
    assert found["eccmgr_vip_fence_open no_guardian"] == 0
    assert not any(math.isnan(value) for value in found.values())
