"""Counts events in this process, and adds the counts to Redis in batches, each of them once."""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Sequence

import structlog

from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Part, Prepared, Spawn, Takeover
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.redis.backoff import Backoff
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series import calls
from eccmgr.series.options import sending_options
from eccmgr.text.naming import ALLOWED, is_plain_name

log = structlog.get_logger()

SERIES_MAX = 100
"""The most series of one process."""
PENDING_MAX = 100_000
"""The most keys that wait in one process; further keys are counted as `other`."""
KEY_MAX = 200
"""A longer key is cut, in characters."""
OTHER = "other"
_COUNT_MAX = 1 << 50
_BATCH_MAX = 2000
_END_S = 5.0
_RETRY_MAX_S = 5.0


class Series:
    """Counts events by a key: an address, a domain, any short text. Its methods may be called in any thread."""

    def __init__(self, name: str, counter: "SeriesCounter") -> None:
        self.name = name
        self._counter = counter

    def add(self, key: str, count: int = 1) -> None:
        """Count `count` events of `key`. This never blocks, and does no I/O. Raises ValueError if `count` is less
        than 1."""
        if not 1 <= count < _COUNT_MAX:
            raise ValueError(f"{count} is not a number of events")
        self._counter.count(self.name, key, count)


class SeriesCounter(Part):
    """All series of one member. What it counts waits in memory until Redis has added it."""

    title = "audit series"

    def __init__(self, link: Link, keys: Keys, node: str, view: ScopeView) -> None:
        """Raises ConfigError."""
        self._link, self._keys, self._node = link, keys, node
        self._how = sending_options(view)
        self._sender, self._number = secrets.token_hex(8), 0
        self._series: dict[str, Series] = {}
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], int] = {}
        self._batch: dict[str, dict[str, int]] = {}
        """The batch that is under way. It stays the same until Redis has added it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._some, self._many = asyncio.Event(), asyncio.Event()
        self._turn = asyncio.Lock()

    def series(self, name: str) -> Series:
        """The series of this name. Raises ValueError for a name that is not allowed, and for too many names."""
        if name in self._series:
            return self._series[name]
        if not is_plain_name(name):
            raise ValueError(f"'{name[:80]}' is no name of a series: {ALLOWED}")
        with self._lock:
            if len(self._series) >= SERIES_MAX:
                raise ValueError(f"a process has at most {SERIES_MAX} series")
            return self._series.setdefault(name, Series(name, self))

    def count(self, name: str, key: str, number: int) -> None:
        """Count events in the series of this name."""
        key = key[:KEY_MAX].encode("utf-8", "replace").decode()
        with self._lock:
            if (name, key) not in self._pending and len(self._pending) >= PENDING_MAX:
                key = OTHER
            was = len(self._pending)
            self._pending[name, key] = self._pending.get((name, key), 0) + number
            is_first, are_many = was == 0, was < self._how.max_pending <= len(self._pending)
        if (is_first or are_many) and self._loop is not None:
            # The program may have ended its loop, and count on.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe((self._many if are_many else self._some).set)
                self._loop.call_soon_threadsafe(self._some.set)

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if `Replicate` makes no sense."""
        sending_options(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the scopes `Replicate`. Raises ConfigError."""
        how = sending_options(view)

        def take() -> None:
            self._how = how

        return Takeover(take)

    async def start(self, spawn: Spawn) -> None:
        """Begin to send."""
        self._loop = asyncio.get_running_loop()
        if self._pending:
            self._some.set()
        spawn(self._run(), "audit series")

    async def finish(self) -> None:
        """Send what waits, if Redis answers soon."""
        self._loop = None
        try:
            async with asyncio.timeout(_END_S):
                while self._pending or self._batch:
                    await self._send()
        except (EccmgrError, TimeoutError) as error:
            log.warning("counts of audit series lost", keys=len(self._pending), reason=str(error) or "no time left")

    async def _run(self) -> None:
        backoff, said = Backoff(lambda: _RETRY_MAX_S), ""
        while self._loop is not None:
            await self._some.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._how.max_delay_s):
                    await self._many.wait()
            self._some.clear()
            self._many.clear()
            try:
                while self._loop is not None and (self._pending or self._batch):
                    await self._send()
                backoff.reset()
                said = ""
            except EccmgrError as error:
                if str(error) != said and not isinstance(error, RedisUnreachable):
                    log.warning("audit series not sent", reason=str(error))
                said = str(error)
                self._some.set()
                await asyncio.sleep(backoff.next_s())

    async def _send(self) -> None:
        """Have Redis add the batch that is under way, or else the next one. Raises EccmgrError; then nobody knows
        whether it was added, and it is sent again under its number."""
        async with self._turn:
            if not self._batch:
                if not (batch := self._next_batch()):
                    return
                self._batch, self._number = batch, self._number + 1
            call = calls.add(self._keys, self._sender, self._number, self._node, self._batch, self._how.max_size)
            await self._link.run(call)
            self._batch = {}

    def _next_batch(self) -> dict[str, dict[str, int]]:
        batch: dict[str, dict[str, int]] = {}
        with self._lock:
            for name, key in list(self._pending)[:_BATCH_MAX]:
                batch.setdefault(name, {})[key] = self._pending.pop((name, key))
        return batch
