"""The outcome of a command on each node that it expects, derived from the data in Redis. This module does no I/O.

A node writes its entry when it claims the command, and again when it answers. Nobody writes that a node is lost or has
missed a command: that follows from the entry, the live sessions and the lease clock, so it can never be out of date.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from eccmgr.access.statements import UNSIGNED, ShownStatement, Signed
from eccmgr.cluster.options import RESPONSE_BYTES_MAX
from eccmgr.cluster.outcomes import Outcome as Outcome
from eccmgr.cluster.outcomes import State as State
from eccmgr.cluster.view import Seat, Target, View
from eccmgr.errors import Unreadable
from eccmgr.redis.reading import command, line, plain_name, whole

_SLICE = 1 << 20
_COMPRESS_OVER = 64 * 1024
_COMPRESSED = "z"
JOB = "j"
"""The flag of an entry with the progress of a job. A job outlives the session that claimed the command."""
SEALED = "s"
"""The flag of an entry whose body begins with a line of seals."""
STANDS_IN = "w"
"""The flag of an answer that stands in for one for which Redis has no memory yet."""
# The year 3000: times after it are faults.
_WALL_END_MS = 32_503_680_000_000


_STATES = {state.value: state for state in State}


class Entry(NamedTuple):
    """A node's entry in Redis: the state, the session that wrote the entry, the time (lease clock, ms), and the
    text."""

    state: State
    private_name: str
    at_ms: int
    took_ms: int = 0
    text: str = ""
    job: str = ""
    """The job that the command has become; `text` is then its progress."""
    flags: str = ""
    seals: bytes = b""
    sealed: bytes = b""
    """The body in the form that the seals cover, if there are seals."""

    @classmethod
    def parse(cls, raw: bytes) -> "Entry":
        """Read an entry as the scripts write it: five fields between tabs, a newline, the body. Raises Unreadable."""
        try:
            head, _, body = raw.partition(b"\n")
            state, private, at_ms, took_ms, flags = head.decode().split("\t")
            seals = sealed = b""
            if SEALED in flags:
                seals, _, body = body.partition(b"\n")
                sealed = body
            if _COMPRESSED in flags:
                body = _unpacked(body)
            text, job = body.decode("utf-8", "replace"), ""
            if JOB in flags:
                job, _, text = text.partition("\t")
            return cls(_STATES[state], private, whole(at_ms), whole(took_ms), text, job, flags, seals, sealed)
        except (ValueError, KeyError, zlib.error) as error:
            raise Unreadable(f"The record of an answer in Redis cannot be read: {error}") from error


UNREADABLE = Entry(State.FAILED, "", 0, text="the record of its answer in Redis cannot be read")
"""Stands for an entry that cannot be read: all that is known is that the answer is lost."""


def wall_ms(text: str) -> int:
    """Read a time on the wall clock, in ms, that can be shown. Raises ValueError."""
    if (moment := whole(text)) >= _WALL_END_MS:
        raise ValueError(f"{moment} is not a moment")
    return moment


def _unpacked(body: bytes) -> bytes:
    """Decompress a body of `pack_body`. Raises zlib.error, and ValueError if the body would fill the memory."""
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(body, RESPONSE_BYTES_MAX)
    if not unpacker.eof:
        raise ValueError("it is cut, or too long")
    return text


def pack_body(text: str, limit: int) -> tuple[str, bytes]:
    """The flags and the body of a response. A body over `limit` bytes is cut, and its last line says so. A large body
    is compressed."""
    size = _encoded_size(text)
    body = text[:limit].encode("utf-8", "replace")
    if size > limit:
        note = f"\n(cut: {size} bytes, limit {limit})"
        kept = body[: max(0, limit - len(note))].decode("utf-8", "ignore")
        body = (kept.rstrip("\n") + note).encode()
    if len(body) > _COMPRESS_OVER:
        return _COMPRESSED, zlib.compress(body, 1)
    return "", body


def _encoded_size(text: str) -> int:
    """The bytes of `text` in UTF-8, found without a second copy of it."""
    if text.isascii():
        return len(text)
    return sum(len(text[start : start + _SLICE].encode("utf-8", "replace")) for start in range(0, len(text), _SLICE))


def running_body(job: str, progress: str) -> bytes:
    """The body of an entry with the flag JOB."""
    return f"{job}\t{progress}".encode()


@dataclass(frozen=True)
class Sent:
    """A command that was sent. Its text is without its secrets.

    `issued_ms`, `expires_ms`, `waited_ms` and `aborted_ms` are on the lease clock; `issued_wall_ms` is for showing. At
    `waited_ms` the sender stopped waiting (None: it never waited), at `aborted_ms` the command was withdrawn. A
    `rolling` command goes out in batches: a node that it has not reached when the sender stops waiting is skipped.
    """

    id: str
    text: str
    target: Target
    issuer: str
    view: int
    issued_ms: int
    issued_wall_ms: int
    expires_ms: int
    waited_ms: int | None = None
    rolling: bool = False
    aborted_ms: int | None = None
    signed: Signed = UNSIGNED
    masked: bool = False
    """Whether secrets were left out of the text: then `signed` is a ShownStatement."""

    @cached_property
    def of(self) -> str:
        """The digest of the command's statement, to which the nodes' answers refer; "" if it is not known."""
        if not self.signed.env or not self.masked:
            return self.signed.digest if self.signed.env else ""
        try:
            return msgspec.json.decode(self.signed.env, type=ShownStatement).of
        except msgspec.DecodeError:
            return ""

    @classmethod
    def parse(cls, fields: Mapping[bytes, bytes]) -> "Sent":
        """Read the hash of a command. Raises Unreadable."""
        try:
            text = {key.decode(): value.decode() for key, value in fields.items()}
            waited = text.get("waited")
            return cls(
                id=plain_name(text["id"]),
                text=command(text["text"]),
                target=Target.read(text["kind"], text["name"]),
                issuer=line(text["issuer"]),
                view=whole(text["view"]),
                issued_ms=whole(text["issued"]),
                issued_wall_ms=wall_ms(text["issued_wall"]),
                expires_ms=whole(text["expires"]),
                waited_ms=whole(waited) if waited is not None else None,
                rolling="rolling" in text,
                aborted_ms=whole(text["aborted"]) if "aborted" in text else None,
                signed=Signed.read(text.get("env", ""), text.get("sig", "")),
                masked="masked" in text,
            )
        except (ValueError, KeyError) as error:
            raise Unreadable(f"The record of the command in Redis cannot be read: {error}") from error


@dataclass(frozen=True)
class Report:
    """The outcome on every node that the command expects, in order of name."""

    sent: Sent
    outcomes: tuple[Outcome, ...]

    @property
    def answered(self) -> int:
        """The number of nodes that answered, successfully or not."""
        return sum(outcome.state.answered for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether every node answered with success."""
        return all(outcome.state is State.OK for outcome in self.outcomes)

    def only(self, target: Target) -> "Report":
        """The part of this report for `target`."""
        return Report(self.sent, tuple(o for o in self.outcomes if target.holds(Seat("", o.node, o.subcluster))))


def report(
    sent: Sent,
    then: View,
    now: View,
    entries: Mapping[str, Entry],
    clock_ms: int,
    plan: Mapping[str, int] = MappingProxyType({}),
) -> Report:
    """Account for every node that `sent` expected in view `then`, given the present view `now` and the lease clock.

    For a rolling command, `plan` has the nodes that it was sent to, each with the time until which the node may begin.
    """
    return Report(
        sent,
        tuple(
            outcome_of_absent(sent, seat, clock_ms)
            if seat.absent
            else outcome(sent, seat, now, entries.get(seat.key), clock_ms, plan.get(seat.key))
            for seat in then.listed(sent.target)
        ),
    )


def outcome_of_absent(sent: Sent, seat: Seat, clock_ms: int) -> Outcome:
    """The outcome of `sent` on a node that was absent when the command was sent. Whatever the node did later does not
    matter."""
    waiting = _since(sent.issued_ms, clock_ms)
    return Outcome(seat.name, seat.subcluster, State.ABSENT, waiting, since_ms=seat.since_ms)


def outcome(
    sent: Sent, seat: Seat, now: View, entry: Entry | None, clock_ms: int, told_ms: int | None = None
) -> Outcome:
    """The outcome of `sent` on the node at `seat`, given the node's `entry` in Redis.

    For a rolling command that was sent to the node, `told_ms` is the time until which the node may begin it.
    """
    if entry is UNREADABLE:
        return Outcome(seat.name, seat.subcluster, entry.state, _since(sent.issued_ms, clock_ms), entry.text)
    if entry is not None and entry.private_name == seat.private_name and entry.state is not State.RUNNING:
        late = None
        if sent.waited_ms is not None and entry.at_ms > sent.waited_ms:
            late = _since(sent.waited_ms, entry.at_ms)
        seconds = _since(sent.issued_ms, entry.at_ms)
        return Outcome(seat.name, seat.subcluster, entry.state, seconds, entry.text, late)
    waiting = _since(sent.issued_ms, clock_ms)
    if entry is not None and entry.job and entry.private_name == seat.private_name and seat.key in now.live:
        # The entry may be from an earlier life of the node, but the job goes on.
        return Outcome(seat.name, seat.subcluster, State.RUNNING, waiting, entry.text, job=entry.job)
    if seat.private_name not in now.sessions:
        return Outcome(seat.name, seat.subcluster, State.LOST, waiting)
    if entry is not None and entry.private_name == seat.private_name:
        return Outcome(seat.name, seat.subcluster, State.RUNNING, _since(entry.at_ms, clock_ms))
    state = _silent(sent, clock_ms, told_ms if sent.rolling else sent.expires_ms)
    return Outcome(seat.name, seat.subcluster, state, waiting)


def _silent(sent: Sent, clock_ms: int, expires_ms: int | None) -> State:
    """The state of a live node that has not begun. The node may begin until `expires_ms`; None if the command was not
    sent to it."""
    ended_ms = clock_ms if sent.aborted_ms is None else min(clock_ms, sent.aborted_ms)
    if expires_ms is None and sent.waited_ms is not None:
        # A command may be withdrawn in the same millisecond in which its sender stops waiting.
        last_ms = sent.waited_ms if sent.aborted_ms is None else sent.waited_ms + 1
        if ended_ms >= last_ms:
            return State.SKIPPED
    if expires_ms is not None and ended_ms >= expires_ms:
        return State.MISSED
    return State.PENDING if sent.aborted_ms is None else State.ABORTED


def _since(start_ms: int, end_ms: int) -> float:
    return max(0, end_ms - start_ms) / 1000
