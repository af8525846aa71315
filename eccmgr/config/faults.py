"""What is wrong with a file and where: one `Fault` a finding, all of them together in one `FaultyConfigError`."""

from collections.abc import Iterable
from typing import NamedTuple

from eccmgr.errors import ConfigError

MAX_FAULTS = 100
"""Faults reported of one file; a file with more is no configuration file, and reading on helps nobody."""


class Fault(NamedTuple):
    """One finding: where it stands (lines and columns from 1), what was found, and what was expected instead."""

    file: str
    line: int
    column: int
    what: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.what}, expected {self.expected}"


class FaultyConfigError(ConfigError):
    """Raised when files cannot be taken; its text is every fault on a line of its own."""

    def __init__(self, faults: Iterable[Fault], heading: str | None = None) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults]
        super().__init__("\n".join([heading, *lines] if heading else lines))
