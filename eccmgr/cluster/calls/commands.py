"""The calls of whoever sends commands, and of who reads in the log what was sent."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eccmgr.cluster.calls.membership import membership_keys
from eccmgr.cluster.calls.views import ViewNumber
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.view import Target
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import ScriptCall, verdicts
from eccmgr.redis.wire import Argument

TOLD_OF = 250
"""After so many answers a sender that waits is told, and it reads them while others come."""


class PublishVerdict(enum.StrEnum):
    """What became of a command that was to be sent."""

    SENT = "sent"
    NOBODY = "nobody"
    """No node of the target is alive."""
    ID_TAKEN = "id taken"
    DRAFT_GONE = "draft gone"
    """Its plan is to be drafted again."""


class ReleaseVerdict(enum.StrEnum):
    """What became of the wish to let more nodes have a command."""

    RELEASED = "released"
    OVER = "over"
    """Its sender has stopped waiting, or it was withdrawn."""
    GONE = "gone"
    """Nobody keeps it any more."""


class AbortVerdict(enum.StrEnum):
    """What became of the wish to withdraw a command."""

    ABORTED = "aborted"
    GONE = "gone"
    """Nobody keeps it any more."""


@dataclass(frozen=True)
class Order:
    """A command that is to be sent: its text (and `shown`, the text without secrets, "" where it has none), to whom,
    by whom, and under which `digest` it is remembered.

    With `wait_s` its sender waits so long, and is told on the channel `notices` after each `told_of` answers. A
    `rolling` one is told to no node yet. `names` are the nodes of a set; of a set whose plan is in the key `draft` they
    are some of its `drafted` ones.
    """

    id: str
    digest: str
    text: str
    target: Target
    issuer: str
    draft: str
    wait_s: float = 0.0
    notices: str = ""
    shown: str = ""
    names: Iterable[str] = ()
    rolling: bool = False
    drafted: int = 0
    told_of: int = TOLD_OF


class PublishAnswer(NamedTuple):
    """What became of an order: in which view, and when, on the lease clock and on the wall clock.

    These are known where it was sent, or met nobody.
    """

    verdict: PublishVerdict
    view: ViewNumber = ViewNumber(0, b"")
    clock_ms: int = 0
    wall_ms: int = 0


@dataclass(frozen=True)
class Released:
    """What became of a release, and until when on the lease clock those nodes may begin."""

    verdict: ReleaseVerdict
    expires_ms: int = 0


class Flushed(NamedTuple):
    """How many commands were cleared, the entry of the log to go on after ("" where all is done) and to end with."""

    cleared: int
    following: str
    last: str


class CaughtUp(NamedTuple):
    """The entry up to which the log was read, whether there may be more, and the messages as they were published."""

    entry: str
    more: bool
    messages: tuple[bytes, ...]


def draft(keys: Keys, options: ClusterOptions, key: str, nodes: Iterable[str]) -> ScriptCall[None]:
    """Plan a command for some `nodes` of a large set in the key `key`, before it is sent."""
    args = (to_ms(options.max_step_s), to_ms(options.command_ttl_s), "\n".join(nodes))
    return ScriptCall("draft", (keys.state, key), args, _drafted)


def _drafted(reply: bytes) -> None:
    if reply != b"drafted":
        raise ValueError(f"{reply!r} is no verdict")


def publish(keys: Keys, options: ClusterOptions, order: Order) -> ScriptCall[PublishAnswer]:
    """Send a command: write down whom it expects, keep it, and tell it, in one step."""
    target, made = order.target, order.id
    return ScriptCall(
        "publish",
        (
            *(*membership_keys(keys), keys.log, keys.latest, keys.audit, keys.heads),
            *(keys.command(made), keys.plan(made), order.draft),
        ),
        (
            *(to_ms(options.max_step_s), made, order.digest, order.text, order.issuer),
            *(target.channel(keys), target.kind.value, target.name),
            *(to_ms(options.command_ttl_s), to_ms(options.results_ttl_s), options.log_cap),
            *(order.notices if order.wait_s else "", to_ms(order.wait_s), keys.view_prefix, keys.command_prefix),
            *(options.audit_cap, order.shown, "\n".join(order.names), keys.node_prefix),
            *("1" if order.rolling else "0", order.drafted, order.told_of),
        ),
        _published,
    )


_publish_verdict = verdicts(PublishVerdict)


def _published(reply: Sequence[bytes]) -> PublishAnswer:
    verdict, *more = reply
    if not more:
        return PublishAnswer(_publish_verdict(verdict))
    view, clock, wall, born = more
    return PublishAnswer(_publish_verdict(verdict), ViewNumber(whole(view), born), whole(clock), whole(wall))


def release(
    keys: Keys, options: ClusterOptions, command_id: str, target: Target, nodes: Iterable[str]
) -> ScriptCall[Released]:
    """Send a rolling command to `nodes`, in small letters."""
    return ScriptCall(
        "release",
        (
            *(keys.state, keys.command(command_id), keys.responses(command_id), keys.arrived(command_id)),
            *(keys.plan(command_id), keys.log, keys.heads),
        ),
        (
            *(to_ms(options.max_step_s), to_ms(options.command_ttl_s), to_ms(options.results_ttl_s)),
            *(keys.view_prefix, keys.node_prefix, "\n".join(nodes), target.channel(keys)),
        ),
        _released,
    )


_release_verdict = verdicts(ReleaseVerdict)


def _released(reply: Sequence[bytes]) -> Released:
    verdict, *expires = reply
    return Released(_release_verdict(verdict), *map(whole, expires))


def abort(keys: Keys, options: ClusterOptions, command_id: str, issuer: str) -> ScriptCall[AbortVerdict]:
    """Withdraw a command: nobody begins it from now on."""
    return ScriptCall(
        "abort",
        (keys.state, keys.command(command_id), keys.audit, keys.log, keys.heads),
        (to_ms(options.max_step_s), keys.everyone, issuer, options.audit_cap),
        _abort_verdict,
    )


_abort_verdict = verdicts(AbortVerdict)


def flush(keys: Keys, options: ClusterOptions, after: str = "-", last: str = "+") -> ScriptCall[Flushed]:
    """Clear some of what was sent: entries of the log `after` one ("-": the first too), to the `last` ("+": newest)."""
    args = (to_ms(options.max_step_s), keys.command_prefix, after, last)
    return ScriptCall("flush", (keys.state, keys.log, keys.latest), args, _flushed)


def _flushed(reply: Sequence[Any]) -> Flushed:
    cleared, following, last = reply
    return Flushed(int(cleared), following.decode(), last.decode())


def history(keys: Keys, options: ClusterOptions, count: int) -> ScriptCall[tuple[Sequence[bytes], ...]]:
    """The latest `count` commands, the newest first, each as fields for `PastCommand.parse`."""
    args = (to_ms(options.max_step_s), count, keys.command_prefix)
    return ScriptCall("history", (keys.state, keys.log), args, tuple)


def catch_up(
    keys: Keys, options: ClusterOptions, after: str, limit: int, node: str, channels: Sequence[str]
) -> ScriptCall[CaughtUp]:
    """What was sent on `channels` after an entry of the log, for a node (in small letters) that did not hear it."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), after, limit, keys.command_prefix, node, *channels)
    return ScriptCall("catchup", (keys.state, keys.log), args, _caught_up)


def _caught_up(reply: Sequence[Any]) -> CaughtUp:
    entry, more, messages = reply
    return CaughtUp(entry.decode(), bool(int(more)), tuple(messages))


def say_words(
    keys: Keys, options: ClusterOptions, words: Iterable[str], counts_for_s: float, most: int
) -> ScriptCall[int]:
    """Keep the words that commands of a live node begin with; how many words of all nodes count then."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), to_ms(counts_for_s), most, *words)
    return ScriptCall("vocabulary", (keys.state, keys.vocabulary), args, int)
