"""The calls of the sender of commands, and of nodes that read the log."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.cluster.calls.membership import membership_keys
from eccmgr.cluster.calls.views import ViewNumber
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.view import Target
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts
from eccmgr.redis.wire import Argument

TOLD_OF = 250
"""The waiting sender is notified after this many answers, and reads them while others arrive."""


class PublishVerdict(enum.StrEnum):
    """The result of sending a command."""

    SENT = "sent"
    NOBODY = "nobody"
    """No node of the target is alive."""
    ID_TAKEN = "id taken"
    DRAFT_GONE = "draft gone"
    """Its plan has to be drafted again."""


class ReleaseVerdict(enum.StrEnum):
    """The result of releasing a command to more nodes."""

    RELEASED = "released"
    OVER = "over"
    """Its sender has stopped waiting, or it was withdrawn."""
    GONE = "gone"
    """Nobody keeps it any more."""


class AbortVerdict(enum.StrEnum):
    """The result of withdrawing a command."""

    ABORTED = "aborted"
    GONE = "gone"
    """Nobody keeps it any more."""


@dataclass(frozen=True)
class CommandOrder:
    """A command to send: its text (and `shown`, the text without secrets, "" if it has none), its target, its issuer,
    and the `digest` of its text.

    With `wait_s` its sender waits for that long, and is notified on the channel `notices` after each `told_of` answers.
    A `rolling` command is not told to any node yet. `names` are the nodes of a set; for a set whose plan is in the key
    `draft`, they are some of its `drafted` nodes.
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
    """The result of an order: its view, and its time on the lease clock and on the wall clock.

    View and times are known if the command was sent, or if no node was alive.
    """

    verdict: PublishVerdict
    view: ViewNumber = ViewNumber(0, b"")
    clock_ms: int = 0
    wall_ms: int = 0


@dataclass(frozen=True)
class Released:
    """The result of a release, and the time on the lease clock until which these nodes may begin."""

    verdict: ReleaseVerdict
    expires_ms: int = 0


class Flushed(NamedTuple):
    """The number of cleared commands, the entry of the log to go on after ("" if all is done), and the entry to end
    with."""

    cleared: int
    following: str
    last: str


class CaughtUp(NamedTuple):
    """The entry up to which the log was read, whether there may be more, and the messages as they were published."""

    entry: str
    more: bool
    messages: tuple[bytes, ...]


def draft(keys: Keys, options: ClusterOptions, key: str, nodes: Iterable[str]) -> ScriptCall[None]:
    """Draft the plan of a command for some `nodes` of a large set in the key `key`, before it is sent."""
    args = (to_ms(options.max_step_s), to_ms(options.command_ttl_s), "\n".join(nodes))
    return ScriptCall("draft", (keys.state, key), args, _drafted)


def _drafted(reply: bytes) -> None:
    if reply != b"drafted":
        raise ValueError(f"{reply!r} is no verdict")


def publish(keys: Keys, options: ClusterOptions, order: CommandOrder) -> ScriptCall[PublishAnswer]:
    """Send a command: note the nodes that it expects, keep it, and publish it, in one step."""
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
    """Release a rolling command to `nodes`, in small letters."""
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
    """Withdraw a command: no node begins it from now on."""
    return ScriptCall(
        "abort",
        (keys.state, keys.command(command_id), keys.audit, keys.log, keys.heads),
        (to_ms(options.max_step_s), keys.everyone, issuer, options.audit_cap),
        _abort_verdict,
    )


_abort_verdict = verdicts(AbortVerdict)


def flush(keys: Keys, options: ClusterOptions, after: str = "-", last: str = "+") -> ScriptCall[Flushed]:
    """Clear a page of sent commands: entries of the log `after` one ("-": from the first) up to `last` ("+": the
    newest)."""
    args = (to_ms(options.max_step_s), keys.command_prefix, after, last)
    return ScriptCall("flush", (keys.state, keys.log, keys.latest), args, _flushed)


def _flushed(reply: RawReply) -> Flushed:
    cleared, following, last = reply
    return Flushed(int(cleared), following.decode(), last.decode())


def history(keys: Keys, options: ClusterOptions, count: int) -> ScriptCall[tuple[Sequence[bytes], ...]]:
    """The latest `count` commands, the newest first, each as fields for `PastCommand.parse`."""
    args = (to_ms(options.max_step_s), count, keys.command_prefix)
    return ScriptCall("history", (keys.state, keys.log), args, tuple)


def catch_up(
    keys: Keys, options: ClusterOptions, after: str, limit: int, node: str, channels: Sequence[str]
) -> ScriptCall[CaughtUp]:
    """Read the messages on `channels` after an entry of the log, for a node (in small letters) that did not hear
    them."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), after, limit, keys.command_prefix, node, *channels)
    return ScriptCall("catchup", (keys.state, keys.log), args, _caught_up)


def _caught_up(reply: RawReply) -> CaughtUp:
    entry, more, messages = reply
    return CaughtUp(entry.decode(), bool(int(more)), tuple(messages))


def say_words(
    keys: Keys, options: ClusterOptions, words: Iterable[str], counts_for_s: float, most: int
) -> ScriptCall[int]:
    """Keep the first words of a live node's commands; answers the number of kept words of all nodes."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), to_ms(counts_for_s), most, *words)
    return ScriptCall("vocabulary", (keys.state, keys.vocabulary), args, int)
