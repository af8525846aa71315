"""What our modules log, for tests that read it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Logged = Sequence[Mapping[str, Any]]
"""Events, each as its fields. More come while a test runs."""
LogOf = Callable[[str], Logged]
"""Gives, for the name of one of our modules, the events that it logs from now on."""
