"""Long lines, which thousands of words can fill, are taken apart in a thread, so that other clients do not wait."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONG_LINE = 4096
"""The longest line, in characters, that takes so little time that it is read at once."""


async def off_loop(read: Callable[[str], T], line: str) -> T:
    """What `read` makes of `line`: at once, or in a thread if the line is long."""
    return read(line) if len(line) <= LONG_LINE else await asyncio.to_thread(read, line)
