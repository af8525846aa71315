"""Logging: one structured line an event, on standard error."""

import logging
import sys

import structlog


def configure(program: str, verbose: int) -> None:
    """Send every event to standard error as `TIME level program event key=value …`; `verbose` > 0 shows debug too."""
    level = logging.DEBUG if verbose > 0 else logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["time", "level", "program", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)
    # The few libraries that log by the standard library say only what is wrong.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="level=%(levelname)s event=%(message)s")
