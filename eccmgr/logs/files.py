"""Logging: one structured line for each event, on standard error and in the configured files.

A line that cannot be written is dropped and counted, without further effect. Each sink tries each line, and reports
its dropped lines as soon as it can be written again.
"""

import asyncio
import contextlib
import errno
import functools
import logging
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from eccmgr.access.accounts import gap
from eccmgr.channels import Channel
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import LogFileOptions as Wanted
from eccmgr.config.live.options import Sync, log_files
from eccmgr.config.live.parts import Part, Spawn, opened_in_thread
from eccmgr.config.syntax.changes import Change
from eccmgr.errors import ConfigError
from eccmgr.host.log_lines import on_standard_error
from eccmgr.host.safe_open import open_file, user_name
from eccmgr.host.streams import Sink
from eccmgr.logs.levels import Levels, level_of
from eccmgr.text.unseen import visible_line

log = structlog.get_logger()

PANICS_MAX = 500
"""The number of panic messages in memory."""
_PANIC_LINE_MAX = 16 * 1024
_FILE_MODE = 0o640
_SIGN_OF_LIFE_RECHECK_S = 5.0
_FIRST = ("time", "level", "program", "event")
_logfmt = structlog.processors.LogfmtRenderer(key_order=_FIRST)


def _render(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    """Render the event as one line. Its values may hold anything, because anybody who reaches the daemon or Redis may
    have sent them."""
    return _logfmt(logger, method, {key: _printable(value) for key, value in event.items()})


def _ordered(event: structlog.typing.EventDict) -> dict[str, Any]:
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **event}


def _printable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    # The renderer itself writes a line break as `\n`.
    return "\n".join(map(visible_line, str(value).split("\n")))


class LogFiles(Part):
    """The files of `ec_logger`. Each file takes the events of its channels."""

    title = "log files"

    def __init__(self, program: str = "", standard_error: Sink | None = None, level: int = logging.INFO) -> None:
        """`level` is the lowest one that is written wherever the configuration names none."""
        self._program = program
        self._standard_error = standard_error
        self._levels = Levels(level)
        self._files: dict[str, Sink] = {}
        self._channels: dict[str, frozenset[Channel]] = {}
        self._heartbeat_s = 0.0
        self.sync: Sync | None = None
        """When the files of the account are forced to the disk; None if there are none."""
        self.panics: deque[str] = deque(maxlen=PANICS_MAX)
        """The latest lines of the panic log, whether a file takes them or not."""
        self._lock = threading.Lock()

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> "NewLogFiles":
        """Open new files, and make missing folders.

        Raises ConfigError, with the place in the configuration, if a file cannot be opened.
        """
        opening = functools.partial(self._open_all, log_files(view))
        return await opened_in_thread(opening, NewLogFiles.take_back)

    async def start(self, spawn: Spawn) -> None:
        """Log signs of life as often as the configuration asks for."""
        spawn(self._show_life(), "signs of life")

    async def close(self) -> None:
        """Write the last line of the daemon, and close every file."""
        log.info("stopped")
        await asyncio.to_thread(self._close)

    async def _show_life(self) -> None:
        while True:
            interval_s = self._heartbeat_s
            await asyncio.sleep(interval_s or _SIGN_OF_LIFE_RECHECK_S)
            if interval_s:
                log.info("alive", channel=Channel.HEARTBEAT)

    def _open_all(self, wanted: Sequence[Wanted]) -> "NewLogFiles":
        channels: dict[str, set[Channel]] = {}
        places: dict[str, str | None] = {}
        syncs = [logger.acctlog_sync for logger in wanted if logger.acctlog is not None]
        levels = Levels(self._levels.given)
        for logger in wanted:
            paths = list(_channels(logger))
            for path, channel in paths:
                channels.setdefault(path, set()).add(channel)
                places.setdefault(path, logger.place)
            levels.add(logger.level, [path for path, _ in paths])
        heartbeat_s = max((logger.heartbeat_s for logger in wanted), default=0.0)
        strictest = min(syncs, key=list(Sync).index, default=None)
        taken = {path: frozenset(each) for path, each in channels.items()}
        change = NewLogFiles(self, taken, levels, heartbeat_s, strictest)
        try:
            for path in channels:
                if path not in self._files:
                    change.fresh[path] = self._open(path, channels[path], places[path], change.made)
        except ConfigError:
            change.take_back()
            raise
        return change

    def become(self, new: "NewLogFiles") -> None:
        """Write to exactly these files."""
        self.force()
        with self._lock:
            _close(file for path, file in self._files.items() if path not in new.channels)
            self._files = {path: new.fresh.get(path) or self._files[path] for path in new.channels}
            self._channels, self._levels = new.channels, new.levels
            self._heartbeat_s, self.sync = new.heartbeat_s, new.sync

    def reopen(self) -> int:
        """Open every file anew; return their number. If one cannot open, keep the old ones and raise ConfigError."""
        fresh: dict[str, Sink] = {}
        try:
            for path, channels in self._channels.items():
                fresh[path] = self._open(path, channels, None, [])
        except ConfigError:
            _close(fresh.values())
            raise
        self.force()
        with self._lock:
            old, self._files = self._files, fresh
        _close(old.values())
        return len(fresh)

    def _close(self) -> None:
        self.force()
        with self._lock:
            _close(self._files.values())
            self._files, self._channels = {}, {}

    def remarks(self) -> list[str]:
        """A line for each sink that has dropped lines since the start."""
        named = {"standard error": self._standard_error, **self._files}
        return [
            f"Log: {sink.lost} lines were dropped at {name}: {sink.reason}"
            for name, sink in named.items()
            if sink is not None and sink.lost
        ]

    def drop_below(self, _logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """The first processor: drop an event whose level is too low for every file and for standard error."""
        if level_of(method) < self._levels.lowest:
            raise structlog.DropEvent
        return event

    def name_program(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A processor: name the program in the event. A context variable would not reach every thread."""
        event["program"] = self._program
        return event

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        """The last processor: write the event's line to the files of its channels, and return it for standard error.

        Raises DropEvent if its level is too low for that.
        """
        levels, level = self._levels, level_of(event.get("level", ""))
        concerned = _concerned(event)
        line = _render(logger, method, event)
        if Channel.PANIC in concerned:
            self.panics.append(line[:_PANIC_LINE_MAX])
        with self._lock:
            for path, file in self._files.items():
                if self._channels[path] & concerned and level >= levels.of(path):
                    file.write(line + "\n")
        if level < levels.standard_error:
            raise structlog.DropEvent
        return on_standard_error(line, _ordered(event))

    def account(self, lines: str) -> None:
        """Write lines of the account, each of which ends in a newline, to its files. Called in a thread."""
        with self._lock:
            for path, file in self._files.items():
                if Channel.ACCOUNT in self._channels[path]:
                    file.write(lines)

    def force(self) -> str:
        """Force the files of the account to the disk, unless they shall never be; answers "", or the reason why one
        cannot be. Called in a thread, since it may take long: meanwhile other lines are written."""
        if self.sync in (None, Sync.NEVER):
            return ""
        with self._lock:
            concerned = [file for path, file in self._files.items() if Channel.ACCOUNT in self._channels[path]]
            try:
                copies = [os.dup(file.descriptor) for file in concerned]
            except OSError as error:
                return error.strerror or str(error)
        return next(filter(None, [_forced(copy) for copy in copies]), "")

    def _open(self, path: str, channels: Set[Channel], place: str | None, made: list[Path]) -> Sink:
        """Open a log file for appending; add the files and folders that it made to `made`. Raises ConfigError."""
        try:
            # With this flag, opening a pipe without a reader fails; otherwise it would wait for one.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            descriptor = open_file(Path(path).absolute(), flags, _FILE_MODE, pipes=True, made=made)
        except OSError as error:
            where = f"{place}: " if place else ""
            raise ConfigError(f"{where}cannot open the log file {path}: {_reason(error)}") from None
        told = _gap if channels == {Channel.ACCOUNT} else functools.partial(_told, self._program)
        return Sink(descriptor, told)


class NewLogFiles:
    """Log files that were opened for a change of the configuration; `carry_out` and `undo` cannot fail."""

    def __init__(
        self,
        files: LogFiles,
        channels: dict[str, frozenset[Channel]],
        levels: Levels,
        heartbeat_s: float,
        sync: Sync | None,
    ) -> None:
        self._files, self.channels, self.levels = files, channels, levels
        self.heartbeat_s, self.sync = heartbeat_s, sync
        self.fresh: dict[str, Sink] = {}
        self.made: list[Path] = []

    async def carry_out(self) -> None:
        """Write to the new files, and close those that are no longer configured."""
        await asyncio.to_thread(self._files.become, self)

    async def undo(self) -> None:
        """Close the new files, and remove the files and folders that were made for them."""
        await asyncio.to_thread(self.take_back)

    def take_back(self) -> None:
        """`undo`, blocking."""
        _close(self.fresh.values())
        for each in reversed(self.made):
            with contextlib.suppress(OSError):
                found = each.lstat()
                if stat.S_ISDIR(found.st_mode):
                    each.rmdir()
                elif not found.st_size:
                    each.unlink()


def _channels(logger: Wanted) -> Iterator[tuple[str, Channel]]:
    """Yield each file that an `ec_logger` names, with a channel that it takes."""
    named = {
        Channel.MAIN: logger.mainlog,
        Channel.PANIC: logger.paniclog,
        Channel.REJECT: logger.rejectlog,
        Channel.ACCOUNT: logger.acctlog,
        Channel.HEARTBEAT: logger.mainlog if logger.heartbeat_s else None,
    }
    yield from ((path, channel) for channel, path in named.items() if path is not None)


def _concerned(event: structlog.typing.EventDict) -> set[Channel]:
    """The channels of an event: the main one, the one that it names, and for an error the panic log."""
    named = event.pop("channel", Channel.MAIN)
    if named is Channel.HEARTBEAT:
        return {named}
    panics = {Channel.PANIC} if event.get("level") in ("error", "critical") else set()
    return {Channel.MAIN, named} | panics


def configure_logs(program: str, verbose: int) -> LogFiles:
    """Log every event to standard error as `TIME level program event key=value …`, with `verbose` > 0 debug events too.

    Returns the log files, which take further files from the configuration.
    """
    level = logging.DEBUG if verbose > 0 else logging.INFO
    standard_error = Sink(2, functools.partial(_told_there, program))
    files = LogFiles(program, standard_error, level)
    structlog.configure(
        processors=[
            files.drop_below,
            files.name_program,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            files,
        ],
        # The level follows the configuration, and loggers are made once.
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        # structlog only writes to it and flushes it.
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, standard_error)),
        cache_logger_on_first_use=True,
    )
    # The few libraries that use the standard library's logging log only warnings and errors.
    logging.basicConfig(level=logging.WARNING, handlers=[_FromLibraries()])
    return files


class _FromLibraries(logging.Handler):
    """Turns a library's log record into an event."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info or None
        )


def _told(program: str, lines: int, reason: str) -> str:
    """The line that reports dropped lines in a file."""
    return _render(None, "", _dropped(program, lines, reason))


def _told_there(program: str, lines: int, reason: str) -> str:
    """The line that reports dropped lines on standard error."""
    event = _dropped(program, lines, reason)
    return on_standard_error(_render(None, "", event), event)


def _dropped(program: str, lines: int, reason: str) -> dict[str, Any]:
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event = {"time": time, "level": "warning", "program": program, "event": "log lines dropped"}
    return {**event, "lines": lines, "reason": reason}


def _gap(lines: int, reason: str) -> str:
    """The line of the account that reports dropped lines."""
    return gap(time.time(), lines, reason)


def _forced(descriptor: int) -> str:
    """Force a file to the disk, and close the descriptor; answers "", or the reason why that failed."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Pipes and devices have nothing to force.
        return "" if error.errno in (errno.EINVAL, errno.ENOTSUP) else error.strerror or str(error)
    finally:
        os.close(descriptor)
    return ""


def _reason(error: OSError) -> str:
    """The reason why a log file cannot be opened. By then root's rights may be gone."""
    if error.errno == errno.ENXIO:
        return "nobody reads this pipe"
    if error.errno == errno.EACCES:
        return f"{error.strerror} for {user_name(os.geteuid())}, as whom this daemon runs"
    return error.strerror or str(error)


def _close(files: Iterable[Sink]) -> None:
    for file in files:
        file.close()
