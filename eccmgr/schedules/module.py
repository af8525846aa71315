"""Runs commands later, and again and again."""

from typing import ClassVar

from eccmgr.modules import Module


class Sched(Module):
    """Runs commands later, and again and again."""

    scope = "sched"
    brief = "runs commands later, and again and again"
    singleton = True
    built_in: ClassVar[tuple[str, ...]] = ("eccmgr",)
