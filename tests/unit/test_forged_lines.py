"""In an answer, no value from Redis can look like the line of another node or command."""

import msgspec
import pytest

from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.members import Member
from eccmgr.cluster.named import NamedNode
from eccmgr.cluster.names import fold, natural
from eccmgr.cluster.results import Entry, Outcome, Sent, State
from eccmgr.cluster.runs import LatestRun
from eccmgr.cluster.view import Seat, Target
from eccmgr.commands import rendering
from eccmgr.duravip.records import VipRecord
from eccmgr.duravip.statements import Said, parse_unable
from eccmgr.errors import Unreadable
from eccmgr.schedules.schedule import Firing, Schedule

BREAKS = ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
"""Every character that any reader takes for the end of a line."""


@pytest.mark.parametrize("end", BREAKS, ids=ascii)
@pytest.mark.parametrize("state", [State.OK, State.FAILED, State.RUNNING])
def test_an_answer_is_its_own_nodes_lines(end: str, state: State) -> None:
    text = f"fine{end}west1: flushed"
    flags, body = ("j", f"0a1b\t{text}") if state is State.RUNNING else ("", text)
    entry = Entry.parse(f"{state}\t#ec0-1-a#east1\t1\t1\t{flags}\n{body}".encode())
    outcome = Outcome("east1", "east", entry.state, 1.0, entry.text, 2.0, entry.job)
    first, *others = rendering.line(outcome).splitlines()
    assert first.startswith("east1:")
    assert others
    assert all(other.startswith("  ") for other in others)


@pytest.mark.parametrize("end", BREAKS, ids=ascii)
def test_a_command_of_several_lines_is_unreadable(end: str) -> None:
    text = f"pid{end}01KB  12:00:00  root  @all  2/2  shutdown"
    past = ("01KB", text, "all", "", "root", "1700000000000", "2", "3")
    with pytest.raises(Unreadable):
        PastCommand.parse([field.encode() for field in past])
    names = ("id", "text", "kind", "name", "issuer", "view", "issued", "issued_wall", "expires")
    values = ("01KB", text, "all", "", "root", "3", "1", "1700000000000", "2")
    with pytest.raises(Unreadable):
        Sent.parse({name.encode(): value.encode() for name, value in zip(names, values, strict=True)})
    schedule = Schedule("a", text, "root", Schedule.parse(b'{"id":"a","text":"x","user":"u"}').when)
    with pytest.raises(Unreadable):
        Schedule.parse(schedule.dump().encode())
    with pytest.raises(Unreadable):
        Firing.parse(msgspec.json.encode(Firing("a", text, "root", 1, "#m", 2)))


@pytest.mark.parametrize("end", BREAKS, ids=ascii)
def test_the_note_of_a_run_is_one_line(end: str) -> None:
    kept = Firing("a", "pid", "root", 1, "#m", 2, note=f"it failed{end}ffffff  now").dump()
    assert Firing.parse(kept.encode()).note == "it failed"


@pytest.mark.parametrize("name", ["west1: ok", "a b", " ", "", "a,b", "@all", "a" * 64, "9" * 5000])
def test_only_a_name_names_a_node(name: str) -> None:
    for parse in (Seat.parse, NamedNode.parse):
        with pytest.raises(Unreadable):
            parse(f"#ec0-1-a#x\t{name}\teast\t1\t".encode() if parse is Seat.parse else f"{name}\t1f=east".encode())
    with pytest.raises(Unreadable):
        Seat.parse(f"#ec0-1-a#x\teast1\t{name}\t1\t".encode())
    for kind in ("node", "subcluster"):
        with pytest.raises(ValueError, match="is not a name"):
            Target.read(kind, name)
        with pytest.raises(Unreadable):
            LatestRun.parse(f"1-1 01KB {kind}:{name}".encode())


def test_names_of_any_digits_are_sorted_and_folded() -> None:
    digits = "9" * 5000
    assert natural("a2") < natural("a10") < natural(f"a{digits}")
    assert digits in fold([digits, "east1"])
    Member.parse(
        f'{{"private_name":"#ec0-1-a#{digits}","role":"Node","node_name":null,"subcluster":null,"version":"",'
        '"address":"","groups":[],"started":0}'
    )


def test_a_vips_reason_is_one_line() -> None:
    with pytest.raises(Unreadable):
        VipRecord.parse("#a\t1\t1\t\ttaken over\nvip owned")


@pytest.mark.parametrize(
    "text", ["here or there\teth1 is down", "fe80::1%x\teth1", "10.1.1.1\tdown\x1b[2J", "10.1.1\tx"]
)
def test_what_a_node_cannot_carry_are_addresses(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_unable(text)
    said = Said()
    said.hear("~east1", "10.1.1.1\teth1 is down")
    said.hear("~east1", text)
    assert said.unable == {}
