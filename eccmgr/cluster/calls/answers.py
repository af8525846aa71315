"""The calls about answers: a node claims a command and responds, and the sender reads the responses."""

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from eccmgr.cluster.calls.commands import DRIVES_FOR_S, TOLD_OF
from eccmgr.cluster.calls.views import PAGE, ViewNumber, pairs
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.results import UNREADABLE, Entry, Sent
from eccmgr.errors import Unreadable
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, flag, raw_text, raw_texts, whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts

_dropped_answers = Dropped("answer")
_dropped_lines = Dropped("line of a plan")

READ_AT_ONCE = 2 * TOLD_OF
"""The maximum number of answers in one look; its sender is notified of further ones."""
STANDING_AT_ONCE = 1000
"""The maximum number of nodes in one `standing`: no script may hold the server for long."""


class ClaimVerdict(enum.StrEnum):
    """Whether a node may run a command."""

    CLAIMED = "claimed"
    ENDED = "ended"
    """Its session has ended."""
    GONE = "gone"
    """Redis no longer keeps the command."""
    NOT_ADDRESSED = "not addressed"
    """It was sent before this session joined, or it is not for this node."""
    ABORTED = "aborted"
    EXPIRED = "expired"
    TAKEN = "taken"
    """It was claimed or answered already."""


class ClaimAnswer(NamedTuple):
    """Whether a node may run a command, and the time that is left to begin it."""

    verdict: ClaimVerdict
    left_ms: int = 0


class RespondVerdict(enum.StrEnum):
    """The result of a node's answer."""

    KEPT = "kept"
    GONE = "gone"
    """Redis no longer keeps the command."""
    SUPERSEDED = "superseded"
    """Another life of the node holds the entry, or the command did not expect this session."""
    ABORTED = "aborted"
    """The command was withdrawn, and nobody had claimed it."""
    EXPIRED = "expired"
    """The command expired, and nobody had claimed it."""


class Drive(enum.StrEnum):
    """Who drives a command: releases it to its nodes, and says when its sender waits no longer."""

    MINE = "mine"
    OTHER = "other"
    NONE = "none"
    """Nobody: its driver has gone, or it never had one, or its sender waits no longer."""


class Parting(enum.StrEnum):
    """A driver's last word."""

    STAYS = ""
    STOP = "stop"
    """The sender stops waiting: later answers are late, and the command is released to no further nodes."""
    HOLD = "hold"
    """The driver goes, and another one may take its place."""


class KeptPace(NamedTuple):
    """The pace of a command in batches as Redis keeps it, with its signed statement and the signature."""

    text: bytes
    env: bytes
    sig: bytes


class Followed(NamedTuple):
    """A command that is followed from now on: the number of responses that have arrived, who drives it, and its
    pace."""

    arrived: int
    drive: Drive
    pace: KeptPace


class Collected(NamedTuple):
    """The responses that a gather had not seen before.

    `aborted_ms` is the time on the lease clock at which the command was withdrawn, `waited_ms` that at which its sender
    stops or stopped waiting; with `more` there are further responses.
    """

    clock_ms: int
    view: ViewNumber
    entries: dict[str, Entry]
    aborted_ms: int | None
    more: bool
    waited_ms: int | None
    drive: Drive


class OpenStanding(NamedTuple):
    """How far nodes are that have not answered: the entries of those that have begun, by node, and when sessions end on
    the lease clock, by private name."""

    clock_ms: int
    running: Mapping[str, Entry]
    ends_ms: Mapping[str, int]


class KnownCommand(NamedTuple):
    """A command and its responses. If the responses, or the entries of the plan, are too many, the name of their key
    stands in their place."""

    clock_ms: int
    sent: Sent
    responses: dict[bytes, bytes] | str
    view: ViewNumber
    plan: dict[bytes, bytes] | str


def claim(
    keys: Keys,
    options: ClusterOptions,
    command_id: str,
    private_name: str,
    node: str,
    joined_view: int,
    *,
    again: bool = False,
) -> ScriptCall[ClaimAnswer]:
    """Claim a command for `node` (in small letters) and the session that joined in `joined_view`.

    `again` says that an earlier call may have reached Redis, and only its answer was lost.
    """
    return ScriptCall(
        "claim",
        (keys.state, keys.sessions, keys.command(command_id), keys.responses(command_id), keys.plan(command_id)),
        (to_ms(options.max_step_s), private_name, node, joined_view, int(again)),
        _claimed,
    )


_claim_verdict = verdicts(ClaimVerdict)


def _claimed(reply: Sequence[bytes]) -> ClaimAnswer:
    if reply[0] == b"claimed":
        return ClaimAnswer(ClaimVerdict.CLAIMED, whole(reply[1]))
    return ClaimAnswer(_claim_verdict(reply[0]))


def respond(
    keys: Keys,
    options: ClusterOptions,
    command_id: str,
    private_name: str,
    node: str,
    joined_view: int,
    *,
    state: str,
    took_ms: int,
    flags: str,
    body: bytes,
    claimed: bool,
) -> ScriptCall[RespondVerdict]:
    """Keep the answer of `node` (in small letters) to a command. `claim` explains the arguments of the session."""
    return ScriptCall(
        "respond",
        (
            *(keys.state, keys.command(command_id), keys.responses(command_id), keys.arrived(command_id)),
            *(keys.roster, keys.plan(command_id)),
        ),
        (
            *(to_ms(options.max_step_s), private_name, node, joined_view, state, took_ms, flags, body),
            *(keys.view_prefix, to_ms(options.results_ttl_s), int(claimed)),
        ),
        _respond_verdict,
    )


_respond_verdict = verdicts(RespondVerdict)


def collect(
    keys: Keys,
    options: ClusterOptions,
    command_id: str,
    seen: int,
    in_all: int,
    *,
    driver: str,
    parting: Parting = Parting.STAYS,
    limit: int = READ_AT_ONCE,
    told_of: int = TOLD_OF,
) -> ScriptCall[Collected]:
    """Read at most `limit` responses after the first `seen` ones. `in_all` is the number of responses once every node
    that may answer has answered.

    The `driver` is notified once `told_of` further responses have come, unless this call is its `parting`. Without a
    driver ("") this only reads.
    """
    return ScriptCall(
        "collect",
        (keys.state, keys.command(command_id), keys.responses(command_id), keys.arrived(command_id)),
        (to_ms(options.max_step_s), seen, limit, in_all, told_of, driver, to_ms(DRIVES_FOR_S), parting.value),
        _collected,
    )


def _collected(reply: RawReply) -> Collected:
    clock, number, born, answered, aborted, more, waited, drive = reply
    aborted_ms, waited_ms = (whole(moment) if moment else None for moment in (aborted, waited))
    view = ViewNumber(whole(number), raw_text(born))
    read = entries(pairs(answered))
    return Collected(whole(clock), view, read, aborted_ms, flag(more), waited_ms, _drive(drive))


_drive = verdicts(Drive)


def follow(
    keys: Keys, options: ClusterOptions, command_id: str, driver: str = "", notices: str = ""
) -> ScriptCall[Followed | None]:
    """Follow a command: from now on all its responses are read by `collect`. None if there is no such command.

    With a `driver`, take the place of a driver who has gone; notices then come on that channel.
    """
    return ScriptCall(
        "follow",
        (keys.state, keys.command(command_id), keys.arrived(command_id)),
        (to_ms(options.max_step_s), driver, to_ms(DRIVES_FOR_S), notices),
        _followed,
    )


def _followed(reply: RawReply) -> Followed | None:
    if not reply:
        return None
    arrived, drive, pace, env, sig = reply
    return Followed(whole(arrived), _drive(drive), KeptPace(*raw_texts([pace, env, sig])))


def standing(
    keys: Keys, options: ClusterOptions, command_id: str, nodes: Sequence[str], sessions: Sequence[str]
) -> ScriptCall[OpenStanding]:
    """Read which of `nodes` (in small letters; at most STANDING_AT_ONCE) have begun a command, and when `sessions`
    end."""

    def read(reply: RawReply) -> OpenStanding:
        clock, answered, ends = reply
        begun = {node.encode(): raw for node, raw in zip(nodes, raw_texts(answered), strict=True) if raw}
        ends_ms = {name: whole(raw) for name, raw in zip(sessions, raw_texts(ends), strict=True) if raw}
        return OpenStanding(whole(clock), entries(begun), ends_ms)

    return ScriptCall(
        "standing",
        (keys.state, keys.sessions, keys.responses(command_id)),
        (to_ms(options.max_step_s), len(nodes), *nodes, *sessions),
        read,
    )


def results(
    keys: Keys, options: ClusterOptions, command_id: str, digest: str, known_view: str = "", limit: int = PAGE
) -> ScriptCall[KnownCommand | None]:
    """Read the command with that id ("" for none), else the latest command whose text has that digest.

    The script keeps the current view, unless that is `known_view` (BORN:NUMBER). None if there is no such command.
    """
    return ScriptCall(
        "results",
        (keys.state, keys.latest, keys.roster, keys.absent),
        (
            *(to_ms(options.max_step_s), command_id, digest, keys.command_prefix, keys.view_prefix),
            *(to_ms(options.results_ttl_s), known_view, limit),
        ),
        _found,
    )


def _found(reply: RawReply) -> KnownCommand | None:
    if not reply:
        return None
    clock, fields, responses, number, born, plan = reply
    view = ViewNumber(whole(number), raw_text(born))
    return KnownCommand(whole(clock), Sent.parse(pairs(fields)), _fields_or_key(responses), view, _fields_or_key(plan))


def _fields_or_key(reply: Sequence[bytes] | bytes) -> dict[bytes, bytes] | str:
    return reply.decode() if isinstance(reply, bytes) else pairs(reply)


def entries(answered: Mapping[bytes, bytes | None]) -> dict[str, Entry]:
    """The entries of nodes from a script's answer. UNREADABLE stands for an entry that cannot be read or is gone."""
    return {node.decode(errors="replace"): _entry(node, raw or b"") for node, raw in answered.items()}


def _entry(node: bytes, raw: bytes) -> Entry:
    try:
        return Entry.parse(raw)
    except Unreadable as error:
        _dropped_answers.say(node, raw, str(error))
        return UNREADABLE


def plan(kept: Mapping[bytes, bytes]) -> dict[str, int]:
    """For each node, the time until which it may begin a command; drops lines that cannot be read."""
    until_by_node = {}
    for node, until in kept.items():
        try:
            until_by_node[node.decode(errors="replace")] = whole(until)
        except ValueError as error:
            _dropped_lines.say(node, until, str(error))
    return until_by_node
