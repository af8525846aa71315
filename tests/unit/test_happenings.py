"""What the audit says, in an operator's words: how long an address was without a holder, how long a node was away."""

from eccmgr.cluster.audit import AuditEntry
from eccmgr.feed.events import table
from eccmgr.feed.happenings import Happening, Subject, of_run, told, took, when
from eccmgr.schedules.schedule import Fate, Firing


def entry(at_ms: int, what: str, **fields: str) -> AuditEntry:
    return AuditEntry(f"{at_ms}-0", at_ms, {"what": what, **{name.rstrip("_"): text for name, text in fields.items()}})


def one(what: str, **fields: str) -> Happening:
    (happening,) = told([entry(5000, what, **fields)])
    return happening


def test_move_says_how_long_nobody_held() -> None:
    _, granted = told(
        [
            entry(
                1000, "vip", change="released", address="10.0.0.1", node="east1", to="west1", reason="move", epoch="1"
            ),
            entry(1040, "vip", change="granted", address="10.0.0.1", node="west1", epoch="2", reason="move"),
        ]
    )
    assert (granted.what, granted.why, granted.took_ms) == ("10.0.0.1 taken by west1, epoch 2", "move", 40)


def test_takeover_counts_from_the_end_of_the_session() -> None:
    *_, granted = told(
        [
            entry(1000, "vip session", change="ended", node="east1", reason="taken over", by="west1"),
            entry(
                1300, "vip", change="granted", address="::1", node="west1", epoch="2", reason="placement", from_="east1"
            ),
        ]
    )
    assert (granted.what, granted.took_ms) == ("::1 taken by west1 from east1, epoch 2", 300)
    assert granted.names == {"::1", "west1", "east1"}


def test_many_lost_nodes_are_one_line() -> None:
    lost = one("member", change="lost", members="#ec0-1-a#east1 #ec0-2-b#east2 #ec0-3-c#east3")
    assert (lost.what, lost.why) == ("nodes east[1-3] lost", "no heartbeat came within the lease")
    assert lost.names == {"east1", "east2", "east3"}


def test_returned_node_says_how_long_it_was_away() -> None:
    back = one("member", change="join", members="#ec0-1-a#east1", subcluster="east", since="3000")
    assert (back.what, back.took_ms) == ("node east1 returned", 2000)
    assert (
        one("member", change="join", members="#mgr-1-a#barca", subcluster="", since="").what == "manager barca joined"
    )


def test_accounts_and_unknown_entries_are_left_out() -> None:
    assert told([entry(1, "account", line="x"), entry(2, "novelty", x="y")]) == []


def test_entry_that_lacks_fields_is_told() -> None:
    for what in ("member", "vip", "vip session", "command", "abort", "job", "schedule", "configuration", "forget"):
        assert one(what).at_ms == 5000


def test_secrets_of_commands_are_masked() -> None:
    assert "geheim" not in one("command", id="A", text="config set Redis::password geheim", issuer="root").what


def test_run_that_did_not_run_says_so() -> None:
    run = Firing("3fa9c1", "version", "root", 1000, "barca", 2000, Fate.MISSED, "it was 400 s late")
    assert of_run(run).what == "schedule 3fa9c1 did not run: version: missed: it was 400 s late"


def test_empty_columns_are_left_out() -> None:
    rows = [Happening(0, Subject.MEMBER, "node east1 joined")]
    assert table(rows, 0.0).splitlines()[0].split() == ["WHEN", "WHAT"]
    assert len(when(0, 1e9)) > len(when(0, 0.0))


def test_times_are_told_in_fitting_units() -> None:
    assert [took(ms) for ms in (410, 4100, 7_980_000)] == ["410 ms", "4.1 s", "2 h 13 m"]
