"""Runs the commands that reach a node: each command at most once, and a bounded number at a time."""

import asyncio
import contextlib
import functools
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from eccmgr.access.recipient import LONGEST_LIFE_MS
from eccmgr.access.trusted_keys import NotAuthentic
from eccmgr.channels import Channel
from eccmgr.cluster.calls import answers
from eccmgr.cluster.calls.answers import ClaimVerdict
from eccmgr.cluster.members import Life
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.results import State, pack_body
from eccmgr.cluster.session import Session
from eccmgr.commands.answer import Answer, Status, split_form
from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Command
from eccmgr.errors import CommandError, EccmgrError, RedisUnreachable
from eccmgr.node.authenticity import Authenticity
from eccmgr.node.claims import Claims, Run
from eccmgr.node.messages import Message, Response, Withdrawal
from eccmgr.node.outbox import Outbox
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped

log = structlog.get_logger()

_ABORT = b'{"abort":'
_LOOK_AGAIN_S = 1.0
_disbelieved = Dropped("command")


class LongCommands(Protocol):
    """Makes jobs of long commands."""

    async def submit(self, message: Message, life: Life, command: Command) -> Response:
        """Make a job of a command that this node has claimed; answers the response that stands until the job has
        ended."""

    def withdraw(self, command_id: str, by: str) -> bool:
        """End the job of a command; answers whether there was such a job."""


class Executor:
    """Runs a node's commands. `heard` takes published messages; `run` runs commands until cancelled."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        session: Session,
        gate: Gate,
        outbox: Outbox,
        authenticity: Authenticity,
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._session = session
        self._gate = gate
        self._node_key = session.identity.name.lower()
        self._own_channel = keys.node(session.identity.name)
        self._waiting: deque[Message] = deque()
        self._tasks: asyncio.TaskGroup | None = None
        self._claims = Claims()
        self._runs: dict[str, Run] = {}
        self._outbox = outbox
        self._authenticity = authenticity
        self._busy = 0
        self.on_heard: Callable[[str, str, str], None] = lambda _channel, _entry, _before: None
        """Called for each heard message with its place in the log: the channel, the entry, the entry before it."""
        self.meant: Callable[[str, int], bool] = lambda _channel, _view: True
        """Whether a command on a channel to the nodes of a view is for this node."""
        self.jobs: LongCommands | None = None
        """Makes jobs of long commands; without this, they run like other commands."""
        self.closing = False

    def heard(self, _channel: str, raw: bytes) -> None:
        """Take a message as it was published. Raises ValueError if it is broken."""
        if raw.startswith(_ABORT):
            withdrawal = Withdrawal.parse(raw)
            self.on_heard(withdrawal.channel, withdrawal.entry, withdrawal.before)
            self._withdraw(withdrawal)
            return
        message = Message.parse(raw, time.monotonic())
        self.on_heard(message.channel, message.entry, message.before)
        self._take(message)

    def read_up(self, raw: bytes) -> None:
        """Take a message from the log, which may have been heard before. Raises ValueError if it is broken."""
        if raw.startswith(_ABORT):
            self._withdraw(Withdrawal.parse(raw))
        else:
            self._take(Message.parse(raw, time.monotonic()))

    def _take(self, message: Message) -> None:
        if not self.meant(message.channel, message.view):
            return
        if self.closing or self._claims.holds(message.id):
            return
        try:
            self._authenticity.open(message)
        except NotAuthentic as error:
            self._disbelieve(message, str(error))
            return
        # A server that was put back may offer a command for as long as it keeps commands, whatever happened to it
        # since; a signed command, for as long as its statement counts.
        longest_s = max(2 * message.ttl_ms / 1000, LONGEST_LIFE_MS / 1000)
        self._claims.take(message.id, time.monotonic(), max(self._options.results_ttl_s, longest_s))
        limit = self._options.max_waiting
        if self._answered_at_once(message):
            return
        if len(self._waiting) < limit:
            self._runs[message.id] = Run()
            self._waiting.append(message)
            self._begin()
            return
        reason = "too many are waiting"
        log.warning("command refused", channel=Channel.REJECT, id=message.id, reason=reason, limit=limit)
        text = f"too many commands are waiting (limit {limit})"
        self._outbox.keep(self._response(message, self._session.life, State.REFUSED, text))

    def _withdraw(self, withdrawal: Withdrawal) -> None:
        try:
            self._authenticity.check_withdrawal(withdrawal)
        except NotAuthentic as error:
            _disbelieved.say(withdrawal.id, None, f"withdrawal: {error}")
        else:
            self.abort(withdrawal.id)

    def _disbelieve(self, message: Message, reason: str) -> None:
        """Refuse a command that is not authentic, and do not remember its id: the true command may still come."""
        _disbelieved.say(message.id, None, reason)
        if self._session.joined.is_set() and self._session.life.joined_view <= message.view:
            text = f"not authentic: {reason}"
            self._outbox.keep(self._response(message, self._session.life, State.REFUSED, text, claimed=False))

    def _answered_at_once(self, message: Message) -> bool:
        """Answer a command at once, without a task, if it changes nothing and needs no I/O. Answers False if the
        command has to wait for its turn."""
        if message.planned or self._busy >= self._options.max_running or not self._session.joined.is_set():
            return False
        if (life := self._session.life).joined_view > message.view:
            return False
        if (text := self._gate.answer_at_hand(message.text, self._caller(message))) is None:
            return False
        response = self._response(message, life, State.OK, text, claimed=False)
        if not self._outbox.send(response, self._answered_one):
            return False
        self._busy += 1
        return True

    def _answered_one(self) -> None:
        self._busy -= 1
        self._begin()

    def abort(self, command_id: str) -> bool:
        """Withdraw a command on this node; answers whether it waited or ran here."""
        if self.jobs is not None and self.jobs.withdraw(command_id, ""):
            return True
        if (run := self._runs.get(command_id)) is None:
            return False
        log.info("command withdrawn", id=command_id)
        run.withdraw()
        return True

    def abandon(self) -> None:
        """Cancel all running commands, and begin none of the waiting ones: another process has this node's name now."""
        for command_id, run in self._runs.items():
            if not run.withdrawn:
                log.warning("command ended", id=command_id, reason="another process has taken over this node's name")
            run.withdraw()

    async def run(self) -> None:
        """Run commands until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                # Meanwhile the limit of running commands may have changed.
                self._begin()
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def drain(self, timeout_s: float) -> None:
        """Begin no further command; wait, at most `timeout_s`, until the running ones have ended and are answered."""
        self.closing = True
        deadline = time.monotonic() + timeout_s
        while (self._busy or self._outbox) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    def _begin(self) -> None:
        """Begin waiting commands, up to the limit of running ones."""
        while self._waiting and self._tasks is not None and not self.closing and self._busy < self._options.max_running:
            message = self._waiting.popleft()
            self._busy += 1
            self._tasks.create_task(self._work(message), name=f"command {message.id}")

    async def _work(self, message: Message) -> None:
        try:
            if (response := await self._carry_out(message)) is not None:
                await self._outbox.deliver(response)
        except EccmgrError as error:
            log.warning("command not run", id=message.id, reason=str(error))
        finally:
            del self._runs[message.id]
            self._busy -= 1
            self._begin()

    async def _carry_out(self, message: Message) -> Response | None:
        """Run a command if this node may run it; answers the response to give, or None."""
        if not await self._joined_by(message.begin_by):
            log.warning("command not run", id=message.id, reason="no session before it expired")
            return None
        life = self._session.life
        if life.joined_view > message.view:
            return None
        run, begin_by = self._runs[message.id], message.begin_by
        if message.planned or not self._idempotent(message.text):
            if (claimed := await self._claim(message, life)) is None:
                return None
            run.claimed, begin_by = True, claimed
        if run.withdrawn:
            return self._response(message, life, State.ABORTED)
        # The process may have been stopped since the claim, so check the time again.
        if time.monotonic() > begin_by:
            return self._response(message, life, State.MISSED)
        try:
            # The key that signed the command may have been revoked while the command waited.
            self._authenticity.open(message)
        except NotAuthentic as error:
            _disbelieved.say(message.id, None, str(error))
            return self._response(message, life, State.REFUSED, f"not authentic: {error}", claimed=run.claimed)
        if run.claimed:
            # Only claimed commands are logged here: the others change nothing, come all day, and are in the audit of
            # the cluster.
            log.info("command", id=message.id, text=without_secrets(message.text)[:200], user=message.issuer)
        return await self._execute(message, life)

    async def _joined_by(self, deadline: float) -> bool:
        """Wait until we have a session, at most until `deadline`; answers whether we have one. A message may arrive
        before the answer to our own join."""
        joined = self._session.joined
        if not joined.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    await joined.wait()
        return joined.is_set()

    async def _claim(self, message: Message, life: Life) -> float | None:
        """Claim a command; answers the time by which it must have begun, or None if this node may not run it.

        While Redis does not answer, this asks again: a claim may have come through, and then the command must get an
        answer.
        """
        again = False
        backoff = Backoff(lambda: self._options.heartbeat_s)
        while True:
            asked = time.monotonic()
            try:
                answer = await self._link.run(
                    answers.claim(
                        self._keys,
                        self._options,
                        message.id,
                        life.private_name,
                        self._node_key,
                        life.joined_view,
                        again=again,
                    )
                )
            except EccmgrError as error:
                again = again or not isinstance(error, RedisUnreachable) or error.asked
                if self.closing:
                    return None
                if asked > message.begin_by:
                    return message.begin_by
                await asyncio.sleep(backoff.next_s())
                continue
            if answer.verdict is ClaimVerdict.CLAIMED:
                # While we waited, the lease clock may have stood still; our own clock has not.
                return min(asked + answer.left_ms / 1000, message.begin_by)
            log.info("command not run", id=message.id, verdict=answer.verdict.value)
            if again and answer.verdict in (ClaimVerdict.ENDED, ClaimVerdict.EXPIRED):
                # An earlier call may have claimed the command. Then the command must get an answer.
                return -math.inf
            if again and answer.verdict is ClaimVerdict.ABORTED:
                # A call may have claimed the command although its answer was lost.
                self._outbox.keep(self._response(message, life, State.ABORTED))
            return None

    async def _execute(self, message: Message, life: Life) -> Response:
        if self.jobs is not None and (command := self._admitted_as_long(message)) is not None:
            response = await self.jobs.submit(message, life, command)
            if self._runs[message.id].withdrawn:
                self.jobs.withdraw(message.id, "")
            return response
        started = time.monotonic()
        timeout_s, run = self._options.command_timeout_s, self._runs[message.id]
        try:
            async with asyncio.timeout(timeout_s) as run.scope:
                answered = await reply(self._gate, message.text, self._caller(message))
        except TimeoutError:
            answered_state, text = State.FAILED, f"timed out after {timeout_s:g} s"
            if run.withdrawn:
                answered_state, text = State.ABORTED, ""
        else:
            answered_state, text = _state_of(answered.answer), answered.body
        finally:
            run.scope = None
        took_s = time.monotonic() - started
        return self._response(message, life, answered_state, text, took_s, claimed=run.claimed)

    def _caller(self, message: Message) -> Caller:
        if message.target:
            only_here = message.target[0] == "node"
        else:
            only_here = message.channel == self._own_channel and not message.planned
        return _caller_of(message.issuer, only_here)

    def _admitted_as_long(self, message: Message) -> Command | None:
        """The command that is to become a job; None for any other command, and for a refused one, to which `reply` says
        why."""
        command = self._find(message.text)
        if command is None or not command.long:
            return None
        try:
            return self._gate.admit(split_form(message.text)[1], self._caller(message)).command
        except CommandError:
            return None

    def _find(self, text: str) -> Command | None:
        try:
            return self._gate.table.find(split_form(text)[1])[0]
        except CommandError:
            return None

    def _idempotent(self, text: str) -> bool:
        # An unknown command does nothing, so it needs no claim.
        return (command := self._find(text)) is None or command.idempotent

    def _response(
        self, message: Message, life: Life, state: State, text: str = "", took_s: float = 0.0, *, claimed: bool = True
    ) -> Response:
        flags, body = pack_body(text, self._options.max_response_bytes)
        return Response(message.id, life, state, to_ms(took_s), flags, body, message.of, claimed)


@functools.lru_cache(maxsize=64)
def _caller_of(issuer: str, only_here: bool) -> Caller:
    """The caller of carried commands. It is made once for all of them, because a gather waits until every node has
    answered."""
    return Caller(issuer, Origin.CARRIED, only_here=only_here)


def _state_of(answer: Answer) -> State:
    return State.OK if answer.status in (Status.OK, Status.PARTIAL) else State.FAILED
