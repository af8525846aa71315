"""Keeps the lexicon of the console up to date in the background, and knows whether the daemon can be reached."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from cli.console.display import deadline_after
from cli.console.lexicon import Lexicon, table_of
from cli.console.node_names import NodeNames
from eccmgr.cluster import nodeset
from eccmgr.cluster.names import split_folded
from eccmgr.commands.answer import Exit, Format
from eccmgr.control.client.session import Client
from eccmgr.errors import EccmgrError, SignInFailed, UsageError
from eccmgr.text.words import quote

_ANSWER_S = 5.0
_LOOK_EVERY_S = 1.0
_FRESH_S = 30.0
_PLACES_MAX = 200
_NOTICES_MAX = 20
_ALL_NODES = "preview @all"


class LexiconKeeper:
    """Has a connection of its own, so that no running command delays it, and a thread that keeps it open.

    `on_change` is called in that thread when the daemon is cut off or found again.
    """

    def __init__(self, client: Client, on_change: Callable[[], None] = lambda: None) -> None:
        self._client, self._on_change = client, on_change
        self._lock = threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._read_at = float("-inf")
        self._used = True
        self.lexicon: Lexicon | None = None
        """None until it was read, and for a daemon that does not describe its commands."""
        self.cut_off = False
        self.notices: deque[str] = deque(maxlen=_NOTICES_MAX)
        """Lines to show to the user."""

    def start(self) -> None:
        """Keep the lexicon up to date from now on."""
        self._thread = threading.Thread(target=self._keep, daemon=True, name="lexicon")
        self._thread.start()

    def close(self) -> None:
        """End the thread, and close the connection."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_ANSWER_S)
        self._client.close()

    def used(self, *, reached: bool) -> None:
        """A command was run: names may have changed; and it has `reached` the daemon, or not."""
        self._used = True
        self._become(cut_off=not reached, told=not reached)
        self._wake.set()

    def ask(self, line: str) -> Sequence[str]:
        """What the daemon says may follow `line`; each line is asked once in half a minute."""
        read_at, words = self._told.get(line, (float("-inf"), ()))
        if time.monotonic() - read_at < _FRESH_S:
            return words
        try:
            with self._lock:
                answer = self._client.ask(f"complete {quote(line)}", deadline_after(_ANSWER_S))
        except EccmgrError:
            return ()
        words = tuple(answer.body.split("\n")) if answer.exit == Exit.OK and answer.body else ()
        if len(self._told) >= _PLACES_MAX:
            self._told.clear()
        self._told[line] = (time.monotonic(), words)
        return words

    def look(self) -> None:
        """Connect if need be, and read the lexicon if it is not fresh. Raises EccmgrError."""
        with self._lock:
            renewed = self._client.connect(deadline_after(_ANSWER_S))
            stale = self._used and time.monotonic() - self._read_at >= _FRESH_S
            if renewed or stale or self._read_at == float("-inf"):
                self._read(renewed=renewed)

    def _read(self, *, renewed: bool) -> None:
        table = self.lexicon.table if self.lexicon is not None and not renewed else None
        if table is None and (table := table_of(self._facts("help"))) is None:
            self._read_at = time.monotonic()
            return
        nodes: NodeNames | None = None
        subclusters: tuple[str, ...] = ()
        if "preview" in table.commands:
            nodes = NodeNames(_names_in(self._body(_ALL_NODES)))
            subclusters = self._subclusters()
        self.lexicon = Lexicon(table, nodes, subclusters)
        self._read_at, self._used = time.monotonic(), False

    def _subclusters(self) -> tuple[str, ...]:
        words = self._body(f"complete {quote('preview @')}").split()
        return tuple(word[1:] for word in words if word.startswith("@") and word != "@all")

    def _body(self, command: str) -> str:
        answer = self._client.ask(command, deadline_after(_ANSWER_S))
        return answer.body if answer.exit == Exit.OK else ""

    def _facts(self, command: str) -> object:
        answer = self._client.ask(command, deadline_after(_ANSWER_S), Format.JSON)
        try:
            return json.loads(answer.body)
        except ValueError:
            return None

    def _keep(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except SignInFailed as error:
                # Each further attempt would count as one more by this user. The next command signs in again.
                self._become(cut_off=True, reason=str(error))
                self._wake.wait()
            except EccmgrError as error:
                self._become(cut_off=True, reason=str(error))
            else:
                self._become(cut_off=False)
            self._wake.wait(_LOOK_EVERY_S)
            self._wake.clear()

    def _become(self, *, cut_off: bool, reason: str = "", told: bool = False) -> None:
        if cut_off == self.cut_off:
            return
        self.cut_off = cut_off
        if not cut_off:
            self.notices.append(f"Connected again to {self._client.endpoint}")
        elif not told:
            self.notices.append(reason)
        self._on_change()


def _names_in(previewed: str) -> list[str]:
    """The names in `east[1-3],west1  (4 nodes)`; none if the answer is no such set."""
    folded = previewed.partition(" ")[0]
    try:
        return nodeset.spell_out(split_folded(folded)) if folded else []
    except UsageError:
        return []
