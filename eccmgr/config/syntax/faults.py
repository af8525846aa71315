"""The faults of configuration files: a `Fault` for each, and one `FaultyConfigError` for all of them."""

from collections.abc import Iterable
from typing import NamedTuple

from eccmgr.errors import ConfigError

MAX_FAULTS = 100
"""The most faults reported for one file; a file with more is probably not a configuration file."""


class Fault(NamedTuple):
    """One fault: its place (lines and columns from 1), what was found there, and what was expected."""

    file: str
    line: int
    column: int
    what: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}, expected {self.expected}"


class FaultyConfigError(ConfigError):
    """Raised when files have faults; its text has one line for each fault."""

    def __init__(self, faults: Iterable[Fault], heading: str | None = None) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults]
        super().__init__("\n".join([heading, *lines] if heading else lines))
