"""The pages that were rendered lately: however many readers follow a page, it is rendered once for each change."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

FRESH_S = 5.0
"""A page is rendered anew after this time, even if the feed told of no change: it shows ages."""
UNSETTLED_S = 1.0
"""So is a page that shows what no topic tells of, as long as that is unsettled."""
_REST = 4.0
"""The same page is rendered again once it has rested for as many times as its rendering took."""
_KEPT_BYTES_MAX = 16 * 1024 * 1024
_AT_ONCE = 2


@dataclass(frozen=True)
class RenderedPage:
    """A page as it was rendered: its code and text. `packed` is the text compressed, b"" if that is not worth it.

    A page is `settled` if nothing of it is about to change without news of its topics.
    """

    code: int
    text: bytes
    packed: bytes = b""
    settled: bool = True


@dataclass
class _Rendering:
    page: RenderedPage
    marks: Hashable
    began_s: float
    ended_s: float


class RenderedPages:
    """Renders pages, the same one not twice for one change.

    What a page depends on has `marks`: a page with the same marks is the same, but for its ages. None as marks stands
    for a page of which nobody tells whether it has changed.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Rendering] = {}
        self._turns: dict[Hashable, tuple[asyncio.Lock, list[None]]] = {}
        self._rendering = asyncio.Semaphore(_AT_ONCE)

    async def get(
        self, key: Hashable, marks: Callable[[], Hashable], render: Callable[[], Awaitable[RenderedPage]]
    ) -> tuple[RenderedPage, float]:
        """The page of this key, and its age in seconds."""
        turn, waiting = self._turns.setdefault(key, (asyncio.Lock(), []))
        waiting.append(None)
        try:
            async with turn:
                kept = self._kept.get(key)
                if kept is None or not _is_current(kept, marks()):
                    kept = await self._anew(key, kept, marks, render)
                return kept.page, time.monotonic() - kept.began_s
        finally:
            waiting.pop()
            if not waiting:
                del self._turns[key]

    async def _anew(
        self,
        key: Hashable,
        before: _Rendering | None,
        marks: Callable[[], Hashable],
        render: Callable[[], Awaitable[RenderedPage]],
    ) -> _Rendering:
        if before is not None:
            rested_s = before.ended_s + _REST * (before.ended_s - before.began_s)
            await asyncio.sleep(max(0.0, rested_s - time.monotonic()))
        async with self._rendering:
            # The marks of what comes after this belong to the next rendering.
            began_s, marked = time.monotonic(), marks()
            page = await render()
        made = _Rendering(page, marked, began_s, time.monotonic())
        self._kept.pop(key, None)
        self._kept[key] = made
        self._forget(made.ended_s)
        return made

    def _forget(self, now_s: float) -> None:
        """Drop the old pages, and the oldest ones if they are too large together."""
        kept_bytes = 0
        for key, kept in reversed(list(self._kept.items())):
            kept_bytes += len(kept.page.text) + len(kept.page.packed)
            if kept_bytes > _KEPT_BYTES_MAX or now_s - kept.ended_s > FRESH_S:
                del self._kept[key]


def _is_current(kept: _Rendering, marks: Hashable) -> bool:
    fresh_s = FRESH_S if kept.page.settled else UNSETTLED_S
    return marks is not None and kept.marks == marks and time.monotonic() - kept.began_s < fresh_s
