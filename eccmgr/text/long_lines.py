"""Takes long lines apart in a thread, so that other clients do not wait: such a line may hold thousands of words."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONG_LINE = 4096
"""The longest line, in characters, that is read at once, because it takes little time."""


async def off_loop(read: Callable[[str], T], line: str) -> T:
    """The result of `read` for `line`. If the line is long, `read` runs in a thread."""
    return read(line) if len(line) <= LONG_LINE else await asyncio.to_thread(read, line)
