"""Logging: one structured line an event, on standard error and in the files that the configuration names."""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import structlog

from eccmgr.config.options import LogFiles as Wanted
from eccmgr.errors import ConfigError

_FILE_MODE = 0o640
_render = structlog.processors.LogfmtRenderer(key_order=["time", "level", "program", "event"])


class LogFiles:
    """The files of `ec_logger`: `mainlog` takes every event, `paniclog` errors, `rejectlog` what was refused.

    A file that cannot be written any more is given up, and standard error says so; the daemon goes on.
    """

    def __init__(self) -> None:
        self._files: dict[str, TextIO] = {}
        self._kinds: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def prepare(self, wanted: Sequence[Wanted]) -> Callable[[], None]:
        """Open what is wanted, making missing folders; what is returned lets it hold, and cannot fail.

        Raises ConfigError with the place in the configuration where a file cannot be opened.
        """
        kinds: dict[str, set[str]] = {}
        places: dict[str, str | None] = {}
        for logger in wanted:
            for kind in ("mainlog", "paniclog", "acctlog", "rejectlog"):
                path = getattr(logger, kind)
                if path is not None:
                    kinds.setdefault(path, set()).add(kind)
                    places.setdefault(path, logger.place)
        fresh: dict[str, TextIO] = {}
        try:
            for path in kinds:
                if path not in self._files:
                    fresh[path] = _open(path, places[path])
        except ConfigError:
            _close(fresh)
            raise

        def carry_out() -> None:
            with self._lock:
                _close({path: file for path, file in self._files.items() if path not in kinds})
                self._files = {path: file for path in kinds if (file := fresh.get(path) or self._files.get(path))}
                self._kinds = {path: frozenset(each) for path, each in kinds.items()}

        return carry_out

    def reopen(self) -> int:
        """Open every file anew; how many there are. Raises ConfigError, and then the old ones are kept."""
        fresh: dict[str, TextIO] = {}
        try:
            for path in self._kinds:
                fresh[path] = _open(path, None)
        except ConfigError:
            _close(fresh)
            raise
        with self._lock:
            old, self._files = self._files, fresh
        _close(old)
        return len(fresh)

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            _close(self._files)
            self._files, self._kinds = {}, {}

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        """The last processor: the event's line, which is also written to the files that want it."""
        wanted = {"mainlog"}
        if event.get("level") in ("error", "critical"):
            wanted.add("paniclog")
        if str(event.get("event", "")).endswith("refused"):
            wanted.add("rejectlog")
        line = _render(logger, method, event)
        with self._lock:
            for path, file in list(self._files.items()):
                if self._kinds[path] & wanted:
                    try:
                        file.write(line + "\n")
                    except (OSError, ValueError) as error:
                        del self._files[path]
                        sys.stderr.write(f'level=error event="log file given up" path={path} reason="{error}"\n')
        return line


def configure(program: str, verbose: int) -> LogFiles:
    """Send every event to standard error as `TIME level program event key=value …`; `verbose` > 0 shows debug too.

    The files that are returned take events too, once they are told which.
    """
    level = logging.DEBUG if verbose > 0 else logging.INFO
    files = LogFiles()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            files,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)
    # The few libraries that log by the standard library say only what is wrong.
    logging.basicConfig(level=logging.WARNING, handlers=[_FromLibraries()])
    return files


class _FromLibraries(logging.Handler):
    """Makes an event of what a library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info or None
        )


def _open(path: str, place: str | None) -> TextIO:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        return open(descriptor, "a", buffering=1, encoding="utf-8", errors="replace")
    except OSError as error:
        where = f"{place}: " if place else ""
        raise ConfigError(f"{where}cannot open the log file {path}: {error.strerror}") from None


def _close(files: Mapping[str, TextIO]) -> None:
    for file in files.values():
        with contextlib.suppress(OSError):
            file.close()
