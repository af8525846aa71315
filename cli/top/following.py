"""Follows the feed of a manager in a thread, and connects again whenever the connection breaks."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import Client
from eccmgr.errors import EccmgrError

COMMAND = "feed all"
_AGAIN_S = 1.0
_LONGEST_S = 365 * 86_400.0
_REFUSED = (Exit.DENIED, Exit.USAGE)


class FeedFollower:
    """Passes on each event, and why nothing comes ("" once it comes again). Both are called in the thread."""

    def __init__(
        self, client: Client, on_event: Callable[[Mapping[str, Any]], None], on_state: Callable[[str], None]
    ) -> None:
        self._client, self._on_event, self._on_state = client, on_event, on_state
        self._ended = threading.Event()
        self.refused = ""
        """Why this caller gets no feed at all; "" if it gets one."""
        self.exit = Exit.OK
        self.thread = threading.Thread(target=self._follow, name="feed", daemon=True)

    def end(self) -> None:
        """End the thread."""
        self._ended.set()
        self._client.interrupt()

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                result = self._client.ask(COMMAND, time.monotonic() + _LONGEST_S, on_event=self._take)
            except EccmgrError as error:
                reason = str(error)
            else:
                reason = result.body
                if result.exit in _REFUSED or not self._has_heard:
                    self.refused, self.exit = reason, Exit(result.exit)
                    self._ended.set()
            if not self._ended.is_set():
                self._on_state(reason)
            self._ended.wait(_AGAIN_S)
        self._on_state(self.refused)

    _has_heard = False

    def _take(self, event: Mapping[str, Any]) -> None:
        if not self._has_heard:
            self._has_heard = True
        self._on_state("")
        self._on_event(event)
