"""The lowest levels of the lines in each log file and on standard error."""

import logging
from collections.abc import Iterable

_NUMBERS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}


def level_of(name: str) -> int:
    """The number of a level; INFO for an unknown name."""
    return _NUMBERS.get(name, logging.INFO)


class Levels:
    """The levels that the configuration asks for. `given` is the one of the command line, which holds for the rest."""

    def __init__(self, given: int) -> None:
        self.given = given
        self.standard_error = given
        self.lowest = given
        """The lowest level of all."""
        self._of_files: dict[str, int] = {}

    def add(self, level: str | None, paths: Iterable[str]) -> None:
        """One `ec_logger` asks for a level: for its files, or for standard error if it has none. If several ask for
        levels of one file, the lowest counts."""
        number = self.given if level is None else level_of(level)
        paths = list(paths)
        for path in paths:
            self._of_files[path] = min(number, self._of_files.get(path, number))
        if level is not None and not paths:
            self.standard_error = number
        self.lowest = min([self.standard_error, *self._of_files.values()])

    def of(self, path: str) -> int:
        """The level of a file."""
        return self._of_files.get(path, self.given)
