"""What a terminal shows of a gather while it runs: the answers as they come, or groups of them; how far it is; and a
last line."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from cli.console.following import said_of
from cli.console.glance import LiveGather
from cli.console.likeness import Folding
from cli.console.live import Region, keyboard, size, stoppable
from cli.console.region import region
from cli.console.settings import DisplaySettings
from cli.console.spans import Line
from cli.terminal import is_dumb
from eccmgr.cluster.names import natural
from eccmgr.cluster.outcomes import Outcome
from eccmgr.text.counting import counted

SCROLLING_MAX = 60
"""Up to so many nodes, or as many as fit the screen, each answer scrolls by."""

Write = Callable[[str], str]
"""Makes an answer fit for the terminal."""


class GatherDisplay:
    """The display of one command. One that is no gather has no event that begins it, and nothing is drawn."""

    def __init__(self, stream: TextIO, settings: DisplaySettings, shown: Write, *, says_id: bool) -> None:
        """`shown` makes a text fit for the terminal `stream`: without control characters, with colours.

        With `says_id`, the command's id is in sight before any answer: where no region shows it, in a line.
        """
        self._owes_id = self._is_interactive = says_id
        self._settings = settings
        self._shown = shown
        folding = Folding.ON if settings.folding is Folding.OFF else settings.folding
        self._gather = LiveGather(folding, time.monotonic)
        self._grouping = settings.folds
        self._held_back: dict[str, str] = {}
        self._stream = stream
        self._keys = keyboard()
        self._region = Region(stream, self._draw, self._press, self._keys, time.monotonic, color=settings.color)
        self._draws = settings.progress and not is_dumb() and bool(os.environ.get("TERM"))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The context in which the command runs; at its end the region is gone."""
        if not self._draws:
            yield
            return
        with stoppable(self._region):
            try:
                yield
            finally:
                self._region.end()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the stream."""
        with self._region.lock:
            began = self._gather.has_begun
            self._gather.take(event)
            if self._gather.has_begun and not began:
                self._begin()
            if not isinstance(line := event.get("line"), str):
                line = ""
            if line and "node" in event:
                self._answer(str(event["node"]), line)
            elif said := line or said_of(event):
                self._region.above(self._shown(said))

    def rest(self) -> str:
        """The lines of the answers that did not scroll by, in order of name."""
        held, self._held_back = self._held_back, {}
        return "\n".join(held[node] for node in sorted(held, key=natural))

    def groups(self) -> str:
        """The answers so far in groups, if some did not scroll by."""
        return self._gather.groups_told() if self._held_back else ""

    def last_line(self, outcomes: list[Outcome] | str) -> str:
        """The line behind the report; empty for what is no gather. `outcomes` are those of the report, or its text."""
        if not self._gather.has_begun:
            return ""
        return self._gather.finish_with(outcomes) if isinstance(outcomes, str) else self._gather.finish(outcomes)

    def _begin(self) -> None:
        scrolling = max(SCROLLING_MAX, size(self._stream)[1])
        if self._draws:
            self._grouping = self._grouping or self._gather.expected > scrolling
            self._region.start()
        else:
            self._say_id()

    def _say_id(self) -> None:
        if self._owes_id and not self._region.was_drawn:
            self._region.above(self._shown(f"{self._gather.id} for {counted(self._gather.expected, 'node')}"))
        self._owes_id = False

    def _answer(self, node: str, line: str) -> None:
        if self._grouping:
            self._held_back[node] = line
        else:
            self._say_id()
            self._region.above(self._shown(line))

    def _draw(self, width: int, height: int) -> list[Line]:
        hears = {"keys": self._keys is not None, "aborts": self._is_interactive}
        return region(self._gather.now(), width, height, grouping=self._grouping, **hears)

    def _press(self, key: str) -> str:
        """Obey a key; answers what to write above the region."""
        match key:
            case "\n" | "\r":
                return self._shown("\n".join(self._gather.left()))
            case "f" | "F":
                self._grouping = not self._grouping
                return "" if self._grouping else self._shown(self.rest())
            case _:
                return ""
