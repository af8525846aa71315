"""The calls of a sender of commands, and of nodes that read the log."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.access.statements import UNSIGNED, Signed
from eccmgr.cluster.calls.membership import membership_keys
from eccmgr.cluster.calls.views import ViewNumber
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.view import Target
from eccmgr.redis import reading
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import flag, raw_text, raw_texts, whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts
from eccmgr.redis.wire import Argument

TOLD_OF = 250
"""The waiting sender is notified after this many answers, and reads them while further ones arrive."""


DRIVES_FOR_S = 3.0
"""A driver of a command that has not looked for so long has gone, and another one may take its place."""


class PublishVerdict(enum.StrEnum):
    """The result of sending a command."""

    SENT = "sent"
    NOBODY = "nobody"
    """No node of the target is alive."""
    ID_TAKEN = "id taken"
    DRAFT_GONE = "draft gone"
    """The draft of its plan is gone: draft the plan again."""


class ReleaseVerdict(enum.StrEnum):
    """The result of releasing a command to more nodes."""

    RELEASED = "released"
    OVER = "over"
    """Its sender has stopped waiting, or the command was withdrawn."""
    DRIVEN = "driven"
    """Somebody else drives it now."""
    GONE = "gone"
    """Redis no longer keeps it."""


class AbortVerdict(enum.StrEnum):
    """The result of withdrawing a command."""

    ABORTED = "aborted"
    GONE = "gone"
    """Redis no longer keeps it."""


@dataclass(frozen=True)
class CommandOrder:
    """A command to send. `shown` is the text without its secrets, "" if it holds none. `signed` is the statement of the
    command, `signed_shown` the statement of `shown`.

    The sender waits for `wait_s` (0: it does not wait). After each `told_of` answers, it is notified on the channel
    `notices`.
    No node is told of a `rolling` command yet. `names` are the nodes of a set. If the plan of the set is in the key
    `draft`, they are some of its nodes, and `drafted` is their number in all.
    """

    id: str
    digest: str
    text: str
    target: Target
    issuer: str
    draft: str
    signed: Signed = UNSIGNED
    signed_shown: Signed = UNSIGNED
    wait_s: float = 0.0
    notices: str = ""
    shown: str = ""
    names: Iterable[str] = ()
    rolling: bool = False
    drafted: int = 0
    told_of: int = TOLD_OF
    driver: str = ""
    """The name under which the sender drives it as it waits."""
    pace: str = ""
    signed_pace: Signed = UNSIGNED


class PublishAnswer(NamedTuple):
    """The result of a CommandOrder: its view, and its time on the lease clock and on the wall clock.

    The view and the times are there if the command was sent, or if no node was alive.
    """

    verdict: PublishVerdict
    view: ViewNumber = ViewNumber(0, b"")
    clock_ms: int = 0
    wall_ms: int = 0


@dataclass(frozen=True)
class Released:
    """The result of a release, and the time on the lease clock until which the released nodes may begin."""

    verdict: ReleaseVerdict
    expires_ms: int = 0


class Flushed(NamedTuple):
    """The number of cleared commands, the last cleared entry of the log ("" once all are cleared), and the entry to end
    with."""

    cleared: int
    following: str
    last: str


class CaughtUp(NamedTuple):
    """The last entry of the log that was read, whether there may be more, and the published messages."""

    entry: str
    more: bool
    messages: tuple[bytes, ...]


def draft(keys: Keys, options: ClusterOptions, key: str, nodes: Iterable[str]) -> ScriptCall[None]:
    """Before a command is sent: draft its plan for some `nodes` of a large set, in the key `key`."""
    args = (to_ms(options.max_step_s), to_ms(options.command_ttl_s), "\n".join(nodes))
    return ScriptCall("draft", (keys.state, key), args, _drafted)


def _drafted(reply: bytes) -> None:
    if reply != b"drafted":
        raise ValueError(f"{reply!r} is not a verdict")


def publish(keys: Keys, options: ClusterOptions, order: CommandOrder) -> ScriptCall[PublishAnswer]:
    """Send a command, in one step: note the nodes that it expects, keep it, and publish it."""
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
            *(*order.signed.kept, *order.signed_shown.kept),
            *(order.driver, to_ms(DRIVES_FOR_S), order.pace, *order.signed_pace.kept),
        ),
        _published,
    )


_publish_verdict = verdicts(PublishVerdict)


def _published(reply: Sequence[bytes]) -> PublishAnswer:
    verdict, *more = reply
    if not more:
        return PublishAnswer(_publish_verdict(verdict))
    view, clock, wall, born = more
    return PublishAnswer(_publish_verdict(verdict), ViewNumber(whole(view), raw_text(born)), whole(clock), whole(wall))


def release(
    keys: Keys,
    options: ClusterOptions,
    command_id: str,
    target: Target,
    nodes: Iterable[str],
    signed: Signed = UNSIGNED,
    driver: str = "",
) -> ScriptCall[Released]:
    """As its `driver`, release a rolling command to `nodes`, in small letters."""
    return ScriptCall(
        "release",
        (
            *(keys.state, keys.command(command_id), keys.responses(command_id), keys.arrived(command_id)),
            *(keys.plan(command_id), keys.releases(command_id), keys.log, keys.heads),
        ),
        (
            *(to_ms(options.max_step_s), to_ms(options.command_ttl_s), to_ms(options.results_ttl_s)),
            *(keys.view_prefix, keys.node_prefix, "\n".join(nodes), target.channel(keys), *signed.kept),
            *(driver, to_ms(DRIVES_FOR_S)),
        ),
        _released,
    )


_release_verdict = verdicts(ReleaseVerdict)


def _released(reply: Sequence[bytes]) -> Released:
    verdict, *expires = reply
    return Released(_release_verdict(verdict), *map(whole, expires))


def abort(
    keys: Keys, options: ClusterOptions, command_id: str, issuer: str, signed: Signed = UNSIGNED
) -> ScriptCall[AbortVerdict]:
    """Withdraw a command: no node begins it from now on."""
    return ScriptCall(
        "abort",
        (keys.state, keys.command(command_id), keys.audit, keys.log, keys.heads),
        (to_ms(options.max_step_s), keys.everyone, issuer, options.audit_cap, *signed.kept),
        _abort_verdict,
    )


_abort_verdict = verdicts(AbortVerdict)


def flush(keys: Keys, options: ClusterOptions, after: str = "-", last: str = "+") -> ScriptCall[Flushed]:
    """Clear a page of sent commands: the entries of the log from after `after` ("-": from the first one) to `last`
    ("+": the newest one)."""
    args = (to_ms(options.max_step_s), keys.command_prefix, after, last)
    return ScriptCall("flush", (keys.state, keys.log, keys.latest), args, _flushed)


def _flushed(reply: RawReply) -> Flushed:
    cleared, following, last = reply
    return Flushed(whole(cleared), following.decode(), last.decode())


def history(keys: Keys, options: ClusterOptions, count: int) -> ScriptCall[tuple[Sequence[bytes], ...]]:
    """The latest `count` commands, newest first; each is a list of fields for `PastCommand.parse`."""
    args = (to_ms(options.max_step_s), count, keys.command_prefix)
    return ScriptCall("history", (keys.state, keys.log), args, _past_commands)


def _past_commands(reply: RawReply) -> tuple[Sequence[bytes], ...]:
    return tuple(map(raw_texts, reply))


def catch_up(
    keys: Keys, options: ClusterOptions, after: str, limit: int, node: str, channels: Sequence[str]
) -> ScriptCall[CaughtUp]:
    """Read the messages on `channels` after an entry of the log, for a node (in small letters) that did not hear
    them."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), after, limit, keys.command_prefix, node, *channels)
    return ScriptCall("catchup", (keys.state, keys.log), args, _caught_up)


def _caught_up(reply: RawReply) -> CaughtUp:
    entry, more, messages = reply
    return CaughtUp(reading.entry(entry), flag(more), raw_texts(messages))


def say_words(
    keys: Keys, options: ClusterOptions, words: Iterable[str], counts_for_s: float, most: int
) -> ScriptCall[int]:
    """Keep the first words of a live node's commands; answers the number of words that Redis keeps of all nodes."""
    args: tuple[Argument, ...] = (to_ms(options.max_step_s), to_ms(counts_for_s), most, *words)
    return ScriptCall("vocabulary", (keys.state, keys.vocabulary), args, whole)
