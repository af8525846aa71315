"""The calls of the scripts about pipes, with one typed function for each script."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.logs.collection.places import LogPlace
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts
from eccmgr.redis.wire import Argument


class AppendVerdict(enum.StrEnum):
    """The result of adding records."""

    KEPT = "kept"
    MOVED = "moved"
    """The pipe ends at another place: a manager asked for it, or the server has forgotten what came later."""


class CommitVerdict(enum.StrEnum):
    """The result of a change that needs the lease."""

    KEPT = "kept"
    REWOUND = "rewound"
    RELEASED = "released"
    STALLED = "stalled"
    FENCED = "fenced"
    """Another manager has the lease, or nobody."""


class ForgottenVerdict(enum.StrEnum):
    """Whether a log had a subscriber."""

    FORGOTTEN = "forgotten"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PipeKeys:
    """The keys of one log of one node, and those of the cluster that its scripts need."""

    state: str
    pipe: str
    cluster: str
    sessions: str

    @classmethod
    def of(cls, keys: Keys, node: str, log: str) -> "PipeKeys":
        """The keys of the log with that safe name."""
        return cls(keys.log_state(node, log), keys.log_pipe(node, log), keys.state, keys.sessions)


class Appended(NamedTuple):
    """The answer to adding records: how many were added, and the bytes in the pipe. If the pipe has moved: the place at
    its end as a text ("" if it never had a record), and what the node said of the log last. If a manager asked for that
    place: the time at which what was read up to there had changed last (0 if unknown)."""

    verdict: AppendVerdict
    added: int = 0
    held: int = 0
    tail: bytes = b""
    said: bytes = b""
    since_ms: int = 0


@dataclass(frozen=True)
class LogLease:
    """A manager's right to write what one subscriber gets of one log."""

    subscriber: str
    private: str
    epoch: int


class Leased(NamedTuple):
    """The answer to taking a lease; without a lease, `holder` has it."""

    lease: LogLease | None
    checkpoint: bytes = b""
    tail: LogPlace | None = None
    holder: str = ""


def append(
    at: PipeKeys,
    options: ClusterOptions,
    *,
    tail: str | bytes,
    most: int,
    subscribers: Sequence[str],
    says: str,
    words: Sequence[Argument],
) -> ScriptCall[Appended]:
    """Add records (`words`, see `Packer`) behind `tail`, as long as the pipe holds no more than `most` bytes."""
    args = (to_ms(options.max_step_s), tail, most, ",".join(subscribers), says, *words)
    return ScriptCall("logs_append", (at.cluster, at.state, at.pipe, at.sessions), args, _appended)


def take_lease(at: PipeKeys, options: ClusterOptions, subscriber: str, private: str) -> ScriptCall[Leased]:
    """Take the lease of a subscriber for the manager with this private name."""

    def read(reply: RawReply) -> Leased:
        if reply[0] == b"taken":
            return Leased(None, holder=reply[1].decode())
        return Leased(LogLease(subscriber, private, _leased(reply)), reply[2], place_in(reply[3]))

    args = (to_ms(options.max_step_s), subscriber, private)
    return ScriptCall("logs_lease", (at.cluster, at.state, at.pipe, at.sessions), args, read)


def commit(
    at: PipeKeys, options: ClusterOptions, lease: LogLease, checkpoint: str, has: int
) -> ScriptCall[CommitVerdict]:
    """Move the checkpoint, behind the record with which `has` bytes had gone into the pipe."""
    args = (to_ms(options.max_step_s), lease.subscriber, lease.private, lease.epoch, checkpoint, has)
    return ScriptCall("logs_commit", (at.state, at.cluster, at.pipe, at.sessions), args, _commit_verdict)


def stall(at: PipeKeys, options: ClusterOptions, lease: LogLease, checkpoint: str = "") -> ScriptCall[CommitVerdict]:
    """Hold up no other subscriber, since this one cannot write. `checkpoint` counts if it has none yet."""
    args = (to_ms(options.max_step_s), lease.subscriber, lease.private, lease.epoch, checkpoint)
    return ScriptCall("logs_stall", (at.state, at.cluster, at.pipe, at.sessions), args, _commit_verdict)


def rewind(at: PipeKeys, lease: LogLease, place: LogPlace, since_ms: int) -> ScriptCall[CommitVerdict]:
    """Have the node send the log again from `place` on. What was read up to there had changed last at `since_ms`."""
    args = (lease.subscriber, lease.private, lease.epoch, place.dump(), since_ms)
    return ScriptCall("logs_rewind", (at.state, at.pipe), args, _commit_verdict)


def release(at: PipeKeys, lease: LogLease) -> ScriptCall[CommitVerdict]:
    """Give a lease back."""
    args = (lease.subscriber, lease.private, lease.epoch)
    return ScriptCall("logs_release", (at.state,), args, _commit_verdict)


def forget(at: PipeKeys, subscriber: str) -> ScriptCall[ForgottenVerdict]:
    """Forget a subscriber of a log."""
    return ScriptCall("logs_forget", (at.state,), (subscriber,), lambda reply: _forget_verdict(reply[0]))


def _appended(reply: RawReply) -> Appended:
    verdict = _append_verdict(reply[0])
    if verdict is AppendVerdict.MOVED:
        return Appended(verdict, tail=bytes(reply[1]), said=bytes(reply[2]), since_ms=int(reply[3]))
    return Appended(verdict, int(reply[1]), int(reply[2]))


def _leased(reply: RawReply) -> int:
    if reply[0] != b"leased":
        raise ValueError("no answer of a lease")
    return int(reply[1])


def place_in(text: bytes) -> LogPlace | None:
    """A place; None for an empty text, and for one that we did not write."""
    try:
        return LogPlace.parse(text.decode()) if text else None
    except ValueError:
        return None


_append_verdict = verdicts(AppendVerdict)
_verdict_of_commit = verdicts(CommitVerdict)
_forget_verdict = verdicts(ForgottenVerdict)


def _commit_verdict(reply: RawReply) -> CommitVerdict:
    return _verdict_of_commit(reply[0])
