"""`as_logger`: each window of each chosen series becomes a file on one manager."""

import asyncio
from collections.abc import Sequence

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import Part, Prepared, Spawn, Takeover
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import EccmgrError
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series import calls
from eccmgr.series.calls import EndedWindow, WrittenVerdict
from eccmgr.series.counts import read_counts, window_lines
from eccmgr.series.options import LoggerOptions, logger_options
from eccmgr.series.window_files import HiddenFate, drop, fate_of, give_name, hidden_files, hidden_of, write_hidden
from eccmgr.text.naming import is_plain_name

log = structlog.get_logger()

_SERIES_MAX = 10_000
_IDLE_MS = 24 * 3600 * 1000
_PAGE = 5000
_LOOK_S = 1.0
_RETRY_S = 2.0


class SeriesLogger(Part):
    """Writes the windows that end while this manager looks, and finishes what managers left that have ended."""

    title = "files of audit series"

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions, session: Session, view: ScopeView) -> None:
        """Raises ConfigError."""
        self._link, self._keys, self._options, self._session = link, keys, options, session
        self._how = logger_options(view)
        self._changed = asyncio.Event()
        self._said = ""

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if `as_logger` makes no sense."""
        logger_options(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the scope `as_logger`. Raises ConfigError."""
        how = logger_options(view)

        def take() -> None:
            self._how = how
            self._changed.set()

        return Takeover(take)

    async def start(self, spawn: Spawn) -> None:
        """Begin to write."""
        spawn(self._run(), "files of audit series")

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            if (how := self._how) is None:
                await self._changed.wait()
                continue
            pause_s = min(_LOOK_S, how.interval_s)
            try:
                await self._look(how)
                self._said = ""
            except (EccmgrError, OSError) as error:
                if str(error) != self._said:
                    log.error("audit series not written", folder=how.base_dir, reason=str(error))
                self._said, pause_s = str(error), _RETRY_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look(self, how: LoggerOptions) -> None:
        """Finish what is left in the folder, then write each window that has ended. Raises EccmgrError and OSError."""
        if not self._session.joined.is_set():
            return
        await self._finish_hidden(how.base_dir)
        now = replies.time_ms(await self._link.call("TIME"))
        await self._link.call("ZREMRANGEBYSCORE", self._keys.series, "-inf", now - _IDLE_MS)
        for raw in replies.texts(await self._link.call("ZRANGE", self._keys.series, 0, _SERIES_MAX - 1)):
            name = raw.decode(errors="replace")
            if is_plain_name(name) and how.chosen(name):
                await self._write_ended(how, name)

    async def _write_ended(self, how: LoggerOptions, name: str) -> None:
        private = self._session.private_name
        window = await self._link.run(calls.cut(self._keys, self._options, name, private, how.interval_s))
        if window is None:
            return
        hidden = hidden_of(window)
        counts = read_counts(await self._closed(name))
        await asyncio.to_thread(write_hidden, how.base_dir, hidden, window_lines(counts))
        verdict = await self._link.run(calls.commit(self._keys, window, private))
        if verdict is WrittenVerdict.LOST:
            await asyncio.to_thread(drop, how.base_dir, hidden)
            return
        await asyncio.to_thread(give_name, how.base_dir, hidden)
        self._tell(how, window, len(counts))

    def _tell(self, how: LoggerOptions, window: EndedWindow, keys: int) -> None:
        path = f"{how.base_dir}/{hidden_of(window).final}"
        seconds = (window.end_ms - window.begin_ms) / 1000
        log.info("audit series written", series=window.series, path=path, keys=keys, seconds=seconds)

    async def _closed(self, name: str) -> list[tuple[bytes, float]]:
        """The counts of the ended window. It changes no longer, so it may be read in pages."""
        found: list[tuple[bytes, float]] = []
        while True:
            key, first = self._keys.series_closed(name), len(found)
            page = replies.scores(await self._link.call("ZRANGE", key, first, first + _PAGE - 1, "WITHSCORES"))
            found += page
            if len(page) < _PAGE:
                return found

    async def _finish_hidden(self, folder: str) -> None:
        """Name or drop the files of managers that ended while they wrote."""
        for hidden in await asyncio.to_thread(hidden_files, folder):
            raw, listed = await self._link.pipeline(
                ("HMGET", self._keys.series_window(hidden.series), "ended_begin", "epoch"),
                ("LRANGE", self._keys.series_written(hidden.series), 0, -1),
            )
            fate = fate_of(hidden, replies.values(raw, 2), replies.texts(listed))
            if fate is HiddenFate.NAMED:
                await asyncio.to_thread(give_name, folder, hidden)
                log.info("audit series written", series=hidden.series, path=f"{folder}/{hidden.final}")
            elif fate is HiddenFate.DROPPED:
                await asyncio.to_thread(drop, folder, hidden)
