"""The form of a log line on standard error: logfmt or JSON, and with its priority where systemd's journal reads it.

This module imports the standard library only, since the guardian uses it too.
"""

import contextlib
import enum
import functools
import json
import os
from collections.abc import Mapping

FORMAT = "ECCMGR_LOG_FORMAT"
"""The environment variable that names the form, for this process and for those that it starts."""
JOURNAL = "JOURNAL_STREAM"
"""The environment variable by which systemd names the journal's end of standard error."""

_STANDARD_ERROR = 2
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""The priorities of sd-daemon(3) by our levels."""


class LogFormat(enum.StrEnum):
    """What a line on standard error looks like."""

    LOGFMT = "logfmt"
    """`name=value` pairs."""
    JSON = "json"
    """One JSON object."""


def on_standard_error(line: str, fields: Mapping[str, object]) -> str:
    """The form of an event on standard error. `line` is the event in logfmt, `fields` are the same event."""
    if _as_json():
        line = json.dumps(fields, default=str)
    if not _in_journal():
        return line
    return f"<{_PRIORITIES.get(str(fields.get('level')), _PRIORITIES['info'])}>{line}"


@functools.cache
def _as_json() -> bool:
    return os.environ.get(FORMAT) == LogFormat.JSON


@functools.cache
def _in_journal() -> bool:
    """Whether standard error is the stream that systemd has named: it may have been directed elsewhere since."""
    with contextlib.suppress(OSError):
        there = os.fstat(_STANDARD_ERROR)
        return os.environ.get(JOURNAL) == f"{there.st_dev}:{there.st_ino}"
    return False
