"""Every kind of record in Redis: any bytes there can be read, or raise Unreadable."""

import math
from dataclasses import replace

from eccmgr.cluster.audit import AuditEntry
from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.jobs import dump_jobs, parse_jobs
from eccmgr.cluster.journal import Journal
from eccmgr.cluster.members import Member, Membership
from eccmgr.cluster.named import Named, NamedNode
from eccmgr.cluster.results import Entry, Outcome, Sent, State, pack_body
from eccmgr.cluster.runs import LatestRuns
from eccmgr.cluster.view import EVERYONE, Seat, View
from eccmgr.commands import rendering
from eccmgr.commands.jobs import JobRow
from eccmgr.commands.membership import as_text, as_xml, member_counts, summary
from eccmgr.errors import EccmgrError, Unreadable
from eccmgr.feed.events import table
from eccmgr.feed.happenings import told
from eccmgr.node.follower import check_entries
from eccmgr.node.messages import Message, Withdrawal
from eccmgr.schedules import times
from eccmgr.schedules.schedule import Firing, Schedule
from tests.fuzz.target import fuzzed, in_two, text_of
from worker.jobs.exchange import read_question, read_told, read_work
from worker.jobs.records import JobRecord, JobStanding

_NOW_MS = 1_800_000_000_000
_JSON = (b'"id":', b'"text":', b'"user":', b"null", b"NaN", b"Infinity", b"1e999", b"\\u000a", b"\\ud800", b"[[[[")


@fuzzed(Unreadable, words=(*_JSON, b'"job":"a"', b'"stage":"running"', b'"queued_ms":1', b'"percent":40.0', b"[]"))
def told_jobs(data: bytes) -> None:
    """What a node tells of its jobs is written back as it was, and each job is one line of a table."""
    jobs = parse_jobs(data)
    assert parse_jobs(dump_jobs(jobs)) == jobs
    node = Seat("#ec0-1-a#east1", "east1", "east")
    assert all(len("".join(JobRow(node, job, 0).cells).splitlines()) <= 1 for job in jobs)


@fuzzed(
    Unreadable, words=(*_JSON, b'"private_name":"#ec0-1-a#east1"', b'"role":"Node"', b'"groups":[]', b'"started":0')
)
def member_record(data: bytes) -> None:
    """A member's record is written back as it was, and each of its fields is shown in one line."""
    member = Member.parse(data)
    assert Member.parse(member.dump()) == member
    membership = Membership(1, member.private_name, (member, member))
    for unknown in ({}, {member.private_name: "it has shown no certificate"}):
        as_xml("c", membership, unknown)
    assert len(as_text(membership).splitlines()) == 15
    assert len(summary(member_counts(membership.members)).splitlines()) == 1
    assert len(membership.leader_line.splitlines()) == 1


@fuzzed(Unreadable, words=(b"\t", b"#ec0-1-a#east1\teast1\teast\t1\t", b"\t1700000000000", "\u2028".encode()))
def roster_line(data: bytes) -> None:
    """A node's line in the roster names it in one word."""
    for absent in (False, True):
        try:
            seat = Seat.parse(data, absent=absent)
        except Unreadable:
            continue
        kept = {seat.key.encode(): data}
        view = View.read(1, {}, kept) if absent else View.read(1, kept, {})
        assert view.node(seat.name).name == seat.name
        assert view.subcluster(seat.subcluster)
        assert len(rendering.line(Outcome(seat.name, seat.subcluster, State.PENDING, 1.0)).splitlines()) == 1


@fuzzed(Unreadable, words=(b"\t", b"=", b",", b"1f3a=east", b"east1\t1f3a=east,west"))
def bus_record(data: bytes) -> None:
    """The statement of bus files on a node."""
    first, second = in_two(data)
    Named.parse({b"=" + first: second, b"@" + first: second}).stale(1.0)
    node = NamedNode.parse(data)
    assert all(len(word.split()) == 1 for word in (node.name, *node.subclusters))


@fuzzed(
    Unreadable,
    words=(b"ok\t#ec0-1-a#b\t1\t1\t\n", b"running\t", b"\tj\n", b"\tz\n", b"\tzj\n", b"x\x9c", b"\r", b"\x85"),
)
def answer_entry(data: bytes) -> None:
    """A node's entry is one node's lines, whatever its text holds."""
    entry = Entry.parse(data)
    outcome = Outcome("east1", "east", entry.state, 1.0, entry.text, 2.0 if entry.took_ms % 2 else None, entry.job)
    first, *others = rendering.line(outcome).splitlines()
    assert first.startswith("east1:")
    assert all(other.startswith("  ") or not other for other in others), others
    rendering.answer(rendering.Report(_SENT, (outcome,)), rendering.Format.JSON).render(rendering.Format.XML, "pid")
    flags, body = pack_body(entry.text, 100_000)
    assert Entry.parse(b"ok\t#a\t1\t1\t" + flags.encode() + b"\n" + body).state is State.OK


_SENT = Sent("01", "pid", EVERYONE, "root", 1, 1, 1, 2)
_FIELDS = ("id", "text", "kind", "name", "issuer", "view", "issued", "issued_wall", "expires", "waited", "aborted")


@fuzzed(Unreadable, words=(b"\0", b"all", b"set", b"node", b"subcluster", b"east[1-9]", b"\n", b"01KB3ZD4P1QX"))
def sent_command(data: bytes) -> None:
    """The record of a command is shown in one line, and names one target."""
    values = data.split(b"\0")
    fields = {name.encode(): value for name, value in zip(_FIELDS, values, strict=False)}
    try:
        sent = Sent.parse({**fields, b"shown": values[-1]} if len(values) > len(_FIELDS) else fields)
        assert len(rendering.header(rendering.Report(sent, ())).splitlines()) == 1
    except Unreadable:
        past = PastCommand.parse(values[:8])
        assert len(rendering.past_line(past).splitlines()) == 1
        rendering.past_facts(past)


@fuzzed(Unreadable, words=(b" ", b"1-1 ", b"set:east[1-9]", b"all:", b"node:a", b"subcluster:b"))
def latest_run(data: bytes) -> None:
    """The latest runs of a text."""
    first, second = in_two(data)
    view = View(1, {"a": Seat("#a", "a", "b")}, {})
    list(LatestRuns.parse({b"1": first, b"2": second}).that_may_concern(EVERYONE, view))


@fuzzed(
    ValueError, words=(*_JSON, b'"view":1', b'"ttl":1', b'"entry":"1-1"', b'"before":"0-0"', b'"abort":', b'"channel":')
)
def message(data: bytes) -> None:
    """The messages to nodes and managers. A message that cannot be read raises ValueError, and is dropped."""
    for read in (lambda: Message.parse(data, 1.0), lambda: Withdrawal.parse(data), lambda: _journal.heard(data)):
        try:
            read()
        except ValueError:
            continue
    check_entries(text_of(data))


async def _no_view() -> View:
    return View(1, {}, {})


_journal = Journal(_no_view)
_WHEN = (
    b'"every":',
    b'"cron":"* * * * *"',
    b'"zone":"UTC"',
    b'"at":1',
    b'"cron":"0 0 30 2 *"',
    b'"zone":"Europe/Berlin"',
)


@fuzzed(Unreadable, words=(*_JSON, *_WHEN))
def schedule_record(data: bytes) -> None:
    """A schedule says when it is due, and is written back as it was."""
    schedule = Schedule.parse(data)
    assert Schedule.parse(schedule.dump().encode()) == schedule
    assert len(f"{schedule.id}{schedule.text}{schedule.user}{schedule.when.words}".splitlines()) <= 1
    due = schedule.when.after(_NOW_MS, _NOW_MS)
    assert due is None or due > _NOW_MS


@fuzzed(Unreadable, words=(*_JSON, b'"due_ms":1', b'"until_ms":2', b'"by":"#m"', b'"fate":"lost"', b'"note":'))
def schedule_run(data: bytes) -> None:
    """A run of a schedule."""
    run = Firing.parse(data)
    # Its text is kept without secrets and unseen characters.
    again = Firing.parse(run.dump().encode())
    assert replace(again, text=run.text) == run
    assert len(f"{run.id}{run.text}{run.user}{run.by}{run.note}".splitlines()) <= 1
    times.shown(run.due_ms)
    times.shown_here(run.until_ms)


@fuzzed(
    words=(
        b"30 2 * * 1-5",
        b"TZ=Europe/Berlin ",
        b"*/5 ",
        b"L",
        b"5#2",
        b"jan-feb ",
        b"2026-11-23T04:00:00Z",
        b"1.5",
        b"@daily",
    )
)
def schedule_times(data: bytes) -> None:
    """The times that are typed, as SECONDS, as TIMESTAMP, or as a cron expression."""
    text = text_of(data)
    for read in (times.seconds, times.moment):
        try:
            found = read(text)
            assert math.isfinite(found)
            times.shown(int(found))
        except EccmgrError:
            continue
    when = times.recurrence(text, "UTC")
    due = when.after(_NOW_MS, _NOW_MS)
    assert due is None or due > _NOW_MS
    kept = Schedule("a", "pid", "root", when)
    assert Schedule.parse(kept.dump().encode()) == kept


@fuzzed(Unreadable, words=(*_JSON, b'"job":"a1"', b'"command_id":"b"', b'"life":{"private_name":"#a","joined_view":1}'))
def job_record(data: bytes) -> None:
    """An agent's record of a job, and the lines between agent and job worker."""
    for read in (read_work, read_question, read_told):
        try:
            read(data)
        except (ValueError, RecursionError):
            continue
    record = JobRecord.parse(data)
    assert JobRecord.parse(record.dump().encode()) == record


@fuzzed(Unreadable, words=(b'"job":"a"', b'"stage":"lost"', b'"progress":50', b'"output":""', b'"age_s":1e300'))
def job_standing(data: bytes) -> None:
    """The job worker's report on a job is shown in one row."""
    try:
        told = read_told(data)
    except (ValueError, RecursionError):
        return
    if isinstance(told.answer, dict):
        standing = JobStanding.parse(told.answer)
        assert len(f"{standing.job}{standing.percent}{standing.command}".splitlines()) <= 1


@fuzzed(Unreadable, words=(b"\0", b"what\0member\0change\0join\0members\0", b"#ec0-1-a#east1", b"\0since\x0017000"))
def audit_entry(data: bytes) -> None:
    """An entry of the audit is told in one line of a table, whatever its fields say."""
    entry = AuditEntry.parse([b"1700000000000-0", data.split(b"\0")])
    story = told([entry, entry])
    assert all(happening.at_ms == entry.at_ms for happening in story)
    assert not story or len(table(story).splitlines()) == 1 + len(story)
