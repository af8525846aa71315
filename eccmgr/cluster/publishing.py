"""Sends commands to nodes. In one step, each command gets an id, is written down with the nodes that it expects, and is
published."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from eccmgr.access.signer import Signer
from eccmgr.access.statements import UNSIGNED
from eccmgr.cluster.absence import absent_for, absent_nodes
from eccmgr.cluster.calls import commands
from eccmgr.cluster.calls.commands import CommandOrder, PublishAnswer, PublishVerdict
from eccmgr.cluster.calls.views import PAGE
from eccmgr.cluster.ids import command_id, made_at_ms, named_id
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.results import Sent
from eccmgr.cluster.roster import Roster
from eccmgr.cluster.view import Target, TargetKind, View
from eccmgr.cluster.waiting import Pace, Published
from eccmgr.errors import CommandError, EccmgrError, RedisUnreachable, Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.text.long_lines import off_loop
from eccmgr.text.words import fold

# A sender may propose the id of its command. It holds the time, so it must be about the present one.
_PROPOSED_WITHIN_MS = 60_000
# If a set is larger, its plan is drafted before the command is sent, and the command goes out on the channel of all
# nodes.
_PLANNED_AT_ONCE = 100


def wall_clock_ms() -> int:
    """The wall clock, in ms."""
    return time.time_ns() // 1_000_000


def digest(text: str, normal: Callable[[str], str] = fold) -> str:
    """The digest under which Redis keeps a command's text. Texts that `normal` makes equal are one command."""
    return hashlib.sha1(normal(text).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


class Publisher:
    """Sends commands for one manager. It hears notices of responses on the channel `notices`."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        roster: Roster,
        notices: str,
        wall_ms: Callable[[], int] = wall_clock_ms,
        normal: Callable[[str], str] = fold,
        signer: Signer | None = None,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._roster = roster
        self._notices = notices
        self._wall_ms = wall_ms
        self._normal = normal
        self._signer = signer or Signer(None, keys.cluster, wall_ms)

    async def publish(
        self,
        text: str,
        target: Target,
        issuer: str,
        wait_s: float = 0.0,
        shown: str | None = None,
        *,
        pace: Pace | None = None,
        driver: str = "",
        proposed: str = "",
        on_id: Callable[[str], None] = lambda _id: None,
    ) -> Published:
        """Send `text` to `target`. The sender waits for `wait_s` and is notified of responses; with 0 it does not wait.

        `shown` is the text without its secrets, if it holds any. No node is told yet of a command that goes out in
        batches, at a `pace`. The sender drives it under the name `driver` while it waits. A `proposed` id is used if it
        is free and holds the present time. `on_id` is called with the id before any node can hear of it.

        Raises CommandError if no node of the target is alive; then nothing was sent. Raises RedisUnreachable, whose
        text says so if the command may have been sent.
        """
        order = CommandOrder(
            "",
            await off_loop(lambda line: digest(line, self._normal), text),
            *(text, target, issuer, self._keys.draft(secrets.token_hex(8))),
            wait_s=wait_s,
            notices=self._notices,
            shown=shown if shown is not None and shown != text else "",
            names=target.names,
            rolling=pace is not None,
            driver=driver,
            pace="" if pace is None else pace.kept,
        )
        answer = PublishAnswer(PublishVerdict.DRAFT_GONE)
        while answer.verdict in (PublishVerdict.ID_TAKEN, PublishVerdict.DRAFT_GONE):
            if len(target.names) > _PLANNED_AT_ONCE and answer.verdict is PublishVerdict.DRAFT_GONE:
                names, drafted = await self._draft(target, order.draft, rolling=order.rolling)
                order = replace(order, names=names, drafted=drafted)
            order = self._signed(replace(order, id=self._new_id(proposed)))
            proposed = ""
            on_id(order.id)
            answer = await self._try(order)
        try:
            view = await self._roster.at(answer.view)
        except (RedisUnreachable, Unreadable) as error:
            if answer.verdict is PublishVerdict.NOBODY:
                raise
            text = f"{error}; the command was sent, ask later: retrieve #{order.id}"
            raise RedisUnreachable(text, asked=True) from error
        if answer.verdict is PublishVerdict.NOBODY:
            raise CommandError(f"{nobody(target, view)}; nothing was sent")
        waited_ms = answer.clock_ms + to_ms(wait_s) if wait_s else None
        expires_ms = answer.clock_ms + to_ms(self._options.command_ttl_s)
        times = (answer.clock_ms, answer.wall_ms, expires_ms, waited_ms)
        sent = Sent(
            order.id, shown or text, target, issuer, view.number, *times, rolling=order.rolling, signed=order.signed
        )
        return Published(sent, *view.expected(target))

    def _new_id(self, proposed: str) -> str:
        now_ms = self._wall_ms()
        if named_id(proposed) == proposed and abs(made_at_ms(proposed) - now_ms) <= _PROPOSED_WITHIN_MS:
            return proposed
        return command_id(now_ms, secrets.randbits(10))

    def _signed(self, order: CommandOrder) -> CommandOrder:
        """Sign the command under its id. A rolling command may begin as long as its sender waits."""
        life_s = self._options.command_ttl_s + (order.wait_s if order.rolling else 0.0)
        target, rolling = order.target.signed_form, order.rolling
        sent = (order.id, target, order.text, order.issuer, to_ms(life_s))
        made = self._signer.command(*sent, rolling=rolling, where=order.target.where)
        shown = self._signer.shown(order.id, made, target, order.shown, order.issuer) if order.shown else UNSIGNED
        pace = self._signer.pace(order.id, made, order.pace) if rolling else UNSIGNED
        return replace(order, signed=made, signed_shown=shown, signed_pace=pace)

    async def _draft(self, target: Target, draft: str, *, rolling: bool) -> tuple[Sequence[str], int]:
        """Draft the plan of a large set before the command is sent; answers some of the set's live nodes, and its size.

        This takes several steps. A `rolling` command gets its plan as it is released.
        """
        view = await self._roster.now()
        live, absent = view.expected(target)
        if not live:
            raise CommandError(f"{nobody(target, view)}; nothing was sent")
        nodes = [seat.key for seat in (*live, *absent)]
        for first in range(0, 0 if rolling else len(nodes), PAGE):
            await self._link.run(commands.draft(self._keys, self._options, draft, nodes[first : first + PAGE]))
        return [seat.key for seat in live[:: len(live) // _PLANNED_AT_ONCE + 1]], len(nodes)

    async def _try(self, order: CommandOrder) -> PublishAnswer:
        try:
            return await self._link.run(commands.publish(self._keys, self._options, order))
        except EccmgrError as error:
            if isinstance(error, RedisUnreachable) and not error.asked:
                raise
            # The call has no answer that is understood. It may have come through, or may still do so.
            text = f"{error}; the command may have been sent, ask later: retrieve #{order.id}"
            raise RedisUnreachable(text, asked=True) from error


def nobody(target: Target, view: View) -> str:
    """The answer for a target without a live node."""
    if target.kind is TargetKind.NODE:
        seat = view.node(target.name)
        return f"Node '{seat.name}' is {absent_for(seat.since_ms)}"
    absent = view.expected(target)[1]
    missing = f"; absent: {absent_nodes(absent)}" if absent else ""
    if target.kind is TargetKind.SUBCLUSTER:
        return f"No node of subcluster '{view.subcluster(target.name)}' is alive{missing}"
    if target.kind is TargetKind.SET:
        return f"No node of {target} is alive{missing}"
    return f"No node is alive in the cluster{missing}"
