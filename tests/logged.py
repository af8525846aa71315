"""What our modules log, for tests that read it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

LogOf = Callable[[str], Sequence[Mapping[str, Any]]]
"""Gives, for the name of one of our modules, the events that it logs from now on."""
