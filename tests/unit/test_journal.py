"""The log of the membership: each heard event is a line, and events that were not heard are found."""

import json

import pytest
import structlog
from structlog.testing import LogCapture

from eccmgr.cluster import journal
from eccmgr.cluster.journal import Journal
from eccmgr.cluster.view import Seat, View

pytestmark = pytest.mark.asyncio


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The logged lines: the event and the node of each."""
    capture, found = LogCapture(), list[tuple[str, str]]()

    def keep(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        found.append((event["event"], event.get("node", "")))
        return capture(logger, method, event)

    monkeypatch.setattr(
        journal, "log", structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.BoundLogger)
    )
    return found


def view(number: int, *live: str, absent: tuple[str, ...] = ()) -> View:
    seats = {name: Seat(f"#ec0-1#{name}", name, "east") for name in live}
    return View(number, seats, {name: Seat("", name, "east", absent=True) for name in absent})


def event(what: str, number: int, *members: str, **more: str) -> bytes:
    return json.dumps({"event": what, "view": number, "members": members, **more}).encode()


async def test_unheard_changes_are_found_by_comparing_views(lines: list[tuple[str, str]]) -> None:
    views = iter([view(1, "a", "b", "c"), view(5, "a", "d", absent=("b",))])

    async def now() -> View:
        return next(views)

    made = Journal(now)
    await made.look()
    await made.look()
    assert lines == [("membership", ""), ("node lost", "b"), ("node left", "c"), ("node joined", "d")]


async def test_what_comes_while_it_looks_is_said_once(lines: list[tuple[str, str]]) -> None:
    made: Journal

    async def now() -> View:
        made.heard(event("join", 2, "#ec0-1#b"))
        made.heard(event("join", 3, "#ec0-1#c"))
        return view(2, "a", "b")

    made = Journal(now)
    await made.look()
    made.heard(event("lost", 4, "#ec0-1#c"))
    assert lines == [("membership", ""), ("node joined", "c"), ("node lost", "c")]


async def test_node_only_in_bus_file_never_returned(lines: list[tuple[str, str]]) -> None:
    async def now() -> View:
        return view(1)

    made = Journal(now)
    made.heard(event("join", 1, "#ec0-1#a", since=""))
    made.heard(event("join", 2, "#ec0-1#b", since="1764000000000"))
    assert lines == [("node joined", "a"), ("node returned", "b")]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"members": 1}', b"\xff"])
async def test_what_is_no_event_is_refused(raw: bytes) -> None:
    async def now() -> View:
        return view(1)

    with pytest.raises(ValueError):  # noqa: PT011
        Journal(now).heard(raw)
