"""Views: live and absent nodes, the nodes of a target, and the last few views that are kept."""

import pytest

from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind, View, Views, names_of
from eccmgr.errors import CommandError
from eccmgr.redis.keys import Keys

LIVE = {
    b"": b"1700",
    b"east1": b"#ec0-1#East1\tEast1\tEAST\t1\t",
    b"east10": b"#ec0-2#east10\teast10\teast\t2\t",
    b"west1": b"#ec0-3#west1\twest1\twest\t3\t#ec0-0#west1",
}
ABSENT = {b"east2": b"#ec0-4#east2\teast2\teast\t4\t"}
VIEW = View.read(7, LIVE, ABSENT)


def test_view_is_read_into_live_and_absent_seats() -> None:
    assert list(VIEW.live) == ["east1", "east10", "west1"]
    assert VIEW.live["east1"] == Seat("#ec0-1#East1", "East1", "EAST")
    assert list(VIEW.absent) == ["east2"]


def test_an_empty_view_has_no_seats() -> None:
    assert list(View.read(1, {b"": b"1700"}, {})) == []


def test_a_session_that_was_reset_lives_on() -> None:
    assert VIEW.sessions == {"#ec0-1#East1", "#ec0-2#east10", "#ec0-3#west1", "#ec0-0#west1"}


def test_subclusters_count_live_nodes_without_case() -> None:
    assert VIEW.subclusters == {"EAST": 2, "west": 1}


@pytest.mark.parametrize(
    ("target", "live", "absent"),
    [
        (EVERYONE, ["East1", "east10", "west1"], ["east2"]),
        (Target(TargetKind.SUBCLUSTER, "East"), ["East1", "east10"], ["east2"]),
        (Target(TargetKind.NODE, "EAST2"), [], ["east2"]),
        (Target(TargetKind.NODE, "east1"), ["East1"], []),
        (Target(TargetKind.NODE, "nobody"), [], []),
        (Target(TargetKind.SET, "East1,east2,nobody"), ["East1"], ["east2"]),
        (Target(TargetKind.SET, "EAST[1-2,10]"), ["East1", "east10"], ["east2"]),
    ],
)
def test_a_target_means_these_nodes(target: Target, live: list[str], absent: list[str]) -> None:
    found = VIEW.expected(target)
    assert [[seat.name for seat in part] for part in found] == [live, absent]
    assert [seat.name for seat in VIEW if target.holds(seat)] == [*live, *absent]


def test_nodes_of_a_target_come_by_name() -> None:
    seats = {name: Seat(f"#{name}", name, "default") for name in ("east10", "west1", "east2")}
    live, absent = View(1, seats, dict(seats)).expected(EVERYONE)
    for found in (live, absent):
        assert [seat.name for seat in found] == ["east2", "east10", "west1"]


@pytest.mark.parametrize(
    ("target", "shown", "channel"),
    [
        (EVERYONE, "@all", "{ecc:c}:bcast"),
        (Target(TargetKind.SUBCLUSTER, "East"), "@East", "{ecc:c}:sub:east"),
        (Target(TargetKind.NODE, "East1"), "East1", "{ecc:c}:node:east1"),
        (Target(TargetKind.SET, "east[1-2]"), "east[1-2]", "{ecc:c}:bcast"),
    ],
)
def test_a_target_is_shown_and_reached(target: Target, shown: str, channel: str) -> None:
    assert str(target) == shown
    assert target.channel(Keys("c")) == channel


def test_live_or_absent_node_has_either_name() -> None:
    assert VIEW.node("EAST2").name == "east2"
    assert VIEW.node("east1.example.com").name == "East1"


def test_unknown_node_is_answered_with_live_and_absent() -> None:
    with pytest.raises(CommandError) as caught:
        VIEW.node("nobody")
    assert str(caught.value) == "Unknown node 'nobody'; known: East1,east[2,10],west1"


def test_subcluster_is_found_without_case() -> None:
    assert VIEW.subcluster("eAsT") == "EAST"


def test_an_unknown_subcluster_is_told_the_known_ones() -> None:
    with pytest.raises(CommandError) as caught:
        VIEW.subcluster("nowhere")
    assert str(caught.value) == "Unknown subcluster 'nowhere'; known: EAST,west"


def test_names_are_listed_as_people_expect() -> None:
    assert names_of(VIEW) == ["East1", "east2", "east10", "west1"]


class TestViews:
    def test_numbering_and_number_identify_a_view(self) -> None:
        views = Views()
        assert views.newest == ""
        views.keep(b"1700", VIEW)
        assert views.newest == "1700:7"
        assert views.get(b"1700", 7) is VIEW
        assert views.get(b"1800", 7) is None
        assert views.get(b"1700", 8) is None

    def test_no_more_than_a_few_are_kept(self) -> None:
        views = Views()
        for number in range(100):
            views.keep(b"1700", View(number, {}, {}))
        assert sum(views.get(b"1700", number) is not None for number in range(100)) == 8
        assert views.newest == "1700:99"

    def test_views_of_another_server_are_forgotten(self) -> None:
        views = Views()
        views.keep(b"1700", VIEW)
        views.forget()
        assert (views.newest, views.get(b"1700", 7)) == ("", None)


def test_a_line_that_cannot_be_read_is_dropped() -> None:
    lines = {b"": b"1700", b"x": b"x", b"y": b"\t\t\t\t", b"z": b"\xff", b"a": b"#ec0-1#a\ta\teast\t1\t"}
    assert list(View.read(7, lines, {}).live) == ["a"]
