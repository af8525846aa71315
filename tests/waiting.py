"""Waiting for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def wait_until(
    predicate: Callable[[], bool | Awaitable[bool]], description: str, timeout_s: float = 60.0
) -> None:
    """Return once `predicate` holds. Fail with `description` if it does not hold within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        held = predicate()
        if inspect.isawaitable(held):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {description}"
        await asyncio.sleep(0.01)


def wait_until_sync(predicate: Callable[[], bool], description: str, timeout_s: float = 60.0) -> None:
    """Do as `wait_until`, outside of an event loop."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain: {description}"
        time.sleep(0.01)
