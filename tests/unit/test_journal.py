"""The log of the membership: each heard event is a line, and events that were not heard are found."""

import json

import pytest

from eccmgr.cluster.journal import Journal
from eccmgr.cluster.view import Seat, View
from tests.logged import Logged, LogOf

pytestmark = pytest.mark.asyncio


@pytest.fixture
def lines(log_of: LogOf) -> Logged:
    return log_of("eccmgr.cluster.journal")


def told(lines: Logged) -> list[tuple[str, str]]:
    """The event and the node of each line."""
    return [(line["event"], line.get("node", "")) for line in lines]


def view(number: int, *live: str, absent: tuple[str, ...] = ()) -> View:
    seats = {name: Seat(f"#ec0-1#{name}", name, "east") for name in live}
    return View(number, seats, {name: Seat("", name, "east", absent=True) for name in absent})


def event(what: str, number: int, *members: str, **more: str) -> bytes:
    return json.dumps({"event": what, "view": number, "members": members, **more}).encode()


async def test_unheard_changes_are_found_by_comparing_views(lines: Logged) -> None:
    views = iter([view(1, "a", "b", "c"), view(5, "a", "d", absent=("b",))])

    async def now() -> View:
        return next(views)

    made = Journal(now)
    await made.look()
    await made.look()
    assert told(lines) == [("membership", ""), ("node lost", "b"), ("node left", "c"), ("node joined", "d")]


async def test_what_comes_while_it_looks_is_said_once(lines: Logged) -> None:
    made: Journal

    async def now() -> View:
        made.heard(event("join", 2, "#ec0-1#b"))
        made.heard(event("join", 3, "#ec0-1#c"))
        return view(2, "a", "b")

    made = Journal(now)
    await made.look()
    made.heard(event("lost", 4, "#ec0-1#c"))
    assert told(lines) == [("membership", ""), ("node joined", "c"), ("node lost", "c")]


async def test_node_only_in_bus_file_never_returned(lines: Logged) -> None:
    async def now() -> View:
        return view(1)

    made = Journal(now)
    made.heard(event("join", 1, "#ec0-1#a", since=""))
    made.heard(event("join", 2, "#ec0-1#b", since="1764000000000"))
    assert told(lines) == [("node joined", "a"), ("node returned", "b")]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"members": 1}', b"\xff"])
async def test_what_is_no_event_is_refused(raw: bytes) -> None:
    async def now() -> View:
        return view(1)

    with pytest.raises(ValueError):  # noqa: PT011
        Journal(now).heard(raw)
