"""The agent's calls to Redis, made one by one in the order of its decisions."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.duravip.records import Era, SessionAnswer
from eccmgr.errors import EccmgrError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall
from worker.duravip import calls
from worker.duravip.footing import Footing
from worker.duravip.model import actions as act
from worker.duravip.model.agent import Agent

log = structlog.get_logger()

_MOST_CALLS = 2000
_DURABLE = (act.StateHeld, act.Acquire)


async def _no_flush() -> None:
    pass


class VipCalls:
    """The waiting calls, and the way to make one. `copies` is the number of Redis's copies; 0 takes the number that the
    sentinels know."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, agent: Agent, node: str, footing: Footing, copies: int
    ) -> None:
        self.copies = copies
        self.flush: Callable[[], Awaitable[None]] = _no_flush
        """Awaited before each call: then the guardian's pipe holds every message that the call relies on."""
        self.hear: Callable[[act.RedisCall, SessionAnswer], None] = lambda _call, _answer: None
        """Called with each answer."""
        self._link, self._keys, self._options = link, keys, options
        self._agent, self._node, self._footing = agent, node, footing
        self._waiting: deque[act.RedisCall] = deque()
        self._added = asyncio.Event()
        self._is_reading = self._reads_again = False

    @property
    def is_busy(self) -> bool:
        """Whether any call still waits."""
        return bool(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether another call may wait."""
        return len(self._waiting) < _MOST_CALLS

    def add(self, call: act.RedisCall) -> None:
        """Make a call after the waiting ones."""
        self._waiting.append(call)
        self._added.set()

    def read(self) -> None:
        """Read the changed records, once more if a read is under way."""
        if self._is_reading:
            self._reads_again = True
            return
        self._is_reading = True
        self.add(self._next_read())

    def _next_read(self) -> act.Read:
        return act.Read(self._agent.session, self._agent.era, self._agent.read_upto)

    async def run(self) -> None:
        """Make the decided calls, one after another, until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._waiting:
                call = self._waiting.popleft()
                if isinstance(call, act.Read):
                    call = self._next_read()
                elif call.session != self._agent.session and not isinstance(call, act.EndCarrying):
                    continue
                await self.flush()
                try:
                    answer = await self.ask(call)
                except EccmgrError as error:
                    log.debug("call about VIPs failed", call=type(call).__name__, reason=str(error))
                    self._has_read(call)
                    continue
                self._has_read(call)
                self.hear(call, answer)

    def _has_read(self, call: act.RedisCall) -> None:
        if isinstance(call, act.Read):
            self._is_reading = False
            if self._reads_again:
                self._reads_again = False
                self.read()

    async def ask(self, call: act.RedisCall) -> SessionAnswer:
        """Make a call now. Raises EccmgrError."""
        asked = calls.call_of(call, self._keys, self._options, self._node)
        if self.copies == 1 or not isinstance(call, _DURABLE):
            return await self._link.run(asked)
        answer, acked = await self._link.run_durably(asked, self.copies)
        if not acked:
            self._footing.doubt()
        return replace(answer, acked=acked)

    def end(self, session: str, era: Era, reason: str) -> ScriptCall[SessionAnswer]:
        """The call that ends a session."""
        return calls.end(self._keys, self._options, session, era.number, reason)

    async def say(self, name: str, text: str) -> int:
        """Make a statement about a node known to all agents; answers the number of that change. Raises
        RedisUnreachable."""
        return await self._link.run(calls.say(self._keys, self._agent.era, name, text))
