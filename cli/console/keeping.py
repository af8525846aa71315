"""Keeps the lexicon of the console up to date in the background, and knows whether the daemon can be reached."""

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.console.display import deadline_after
from cli.console.names_heard import TOPICS, NamesHeard
from cli.console.node_names import NodeNames
from eccmgr.cluster import nodeset
from eccmgr.cluster.names import split_folded
from eccmgr.commands.answer import Exit, Format
from eccmgr.control.client.session import Client
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import EccmgrError, NoAnswer, SignInFailed, UsageError
from eccmgr.text.words import quote

if TYPE_CHECKING:
    from cli.console.lexicon import Lexicon
    from eccmgr.commands.table import Table

_ANSWER_S = 5.0
_LOOK_EVERY_S = 1.0
_FRESH_S = 30.0
_FEED_S = 3600.0
_PLACES_MAX = 200
_NOTICES_MAX = 20
_FEED = " ".join(("feed", *TOPICS))


class LexiconKeeper:
    """Has connections and a thread of its own, so that neither a running command nor a key press waits for it.

    A manager's feed brings the names. A daemon without a feed is asked for them at first, and after commands.
    `on_change` is called in the thread when the daemon is cut off or found again, and when its commands are known.
    """

    def __init__(self, client: Callable[[], Client], on_change: Callable[[], None] = lambda: None) -> None:
        """`client` makes a client for the daemon."""
        self._client, self._completing = client(), client()
        self._on_change = on_change
        self._asking, self._naming = threading.Lock(), threading.Lock()
        self._ended, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._table: Table | None = None
        self._heard = NamesHeard()
        self._read: Lexicon | None = None
        self._read_at = float("-inf")
        self._used = False
        self._at: Endpoint | None = None
        self.cut_off = False
        self.notices: deque[str] = deque(maxlen=_NOTICES_MAX)
        """Lines to show to the user."""

    def start(self) -> None:
        """Keep the lexicon up to date from now on."""
        self._thread = threading.Thread(target=self._keep, daemon=True, name="lexicon")
        self._thread.start()

    def close(self) -> None:
        """End the thread, and close the connections."""
        self._ended.set()
        self._wake.set()
        self._client.interrupt()
        if self._thread is not None:
            self._thread.join(_ANSWER_S)
        self._client.close()
        self._completing.close()

    @property
    def lexicon(self) -> "Lexicon | None":
        """What is known; None until it was read, and for a daemon that does not describe its commands."""
        if self._read is not None or self._table is None:
            return self._read
        with self._naming:
            return self._heard.lexicon(self._table)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of its connection."""
        return self._client.endpoint

    def used(self, *, reached: bool) -> None:
        """A command was run: names may have changed; and it has `reached` the daemon, or not."""
        self._used = True
        self._become(cut_off=not reached)
        self._wake.set()

    def ask(self, line: str) -> Sequence[str]:
        """What the daemon says may follow `line`; each line is asked once in half a minute."""
        read_at, words = self._told.get(line, (float("-inf"), ()))
        if time.monotonic() - read_at < _FRESH_S:
            return words
        try:
            with self._asking:
                answer = self._completing.ask(f"complete {quote(line)}", deadline_after(_ANSWER_S))
        except EccmgrError:
            return ()
        words = tuple(str(answer.body).split("\n")) if answer.exit == Exit.OK and answer.body else ()
        if len(self._told) >= _PLACES_MAX:
            self._told.clear()
        self._told[line] = (time.monotonic(), words)
        return words

    def _keep(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except SignInFailed as error:
                # Each further attempt would count as one more by this user. The next command signs in again.
                self._become(cut_off=True, reason=str(error))
                self._wake.wait()
            except EccmgrError as error:
                self._become(cut_off=True, reason=str(error))
            if not self._ended.is_set():
                self._wake.wait(_LOOK_EVERY_S)
                self._wake.clear()

    def _look(self) -> None:
        """Connect if need be, learn the commands of a new daemon, and follow the names. Raises EccmgrError."""
        if self._client.connect(deadline_after(_ANSWER_S)):
            # Imported only here: the console starts sooner without the table of commands.
            from cli.console.lexicon import table_of

            self._table, self._read, self._read_at = table_of(self._help()), None, float("-inf")
            self._note_endpoint()
            self._on_change()
        self._become(cut_off=False)
        if self._table is None:
            return
        if self._read is None and "feed" in self._table.commands and self._follow():
            return
        # There is no feed, or this user may not see it.
        if self._read is None or (self._used and time.monotonic() - self._read_at >= _FRESH_S):
            self._read = self._names(self._table)
            self._read_at, self._used = time.monotonic(), False

    def _note_endpoint(self) -> None:
        """Tell the user if another manager answers than before."""
        before, self._at = self._at, self._client.endpoint
        if before not in (None, self._at) and not self.cut_off:
            self.notices.append(f"Connected to {self._at} in place of {before}")

    def _follow(self) -> bool:
        """Follow the feed until it ends; answers False if there is none for this user."""
        with self._naming:
            self._heard = NamesHeard()
        try:
            return self._client.ask(_FEED, deadline_after(_FEED_S), on_event=self._hear).exit == Exit.OK
        except NoAnswer:
            return True  # the next connection shows at once whether the daemon is still there

    def _hear(self, event: Mapping[str, Any]) -> None:
        # A server of another kind tells what it likes.
        with self._naming, contextlib.suppress(LookupError, TypeError, ValueError, AttributeError):
            self._heard.take(event)

    def _names(self, table: "Table") -> "Lexicon":
        from cli.console.lexicon import Lexicon

        if "preview" not in table.commands:
            return Lexicon(table)
        nodes = NodeNames(_names_in(self._body("preview @all")))
        groups = self._body(f"complete {quote('preview @')}").split()
        return Lexicon(table, nodes, tuple(word[1:] for word in groups if word[:1] == "@" and word != "@all"))

    def _body(self, command: str) -> str:
        answer = self._client.ask(command, deadline_after(_ANSWER_S))
        return str(answer.body) if answer.exit == Exit.OK else ""

    def _help(self) -> object:
        try:
            return json.loads(self._client.ask("help", deadline_after(_ANSWER_S), Format.JSON).body)
        except (ValueError, TypeError):
            return None

    def _become(self, *, cut_off: bool, reason: str = "") -> None:
        """Note whether the daemon is cut off; without a `reason`, the user knows already."""
        if cut_off == self.cut_off or self._ended.is_set():
            return
        self.cut_off = cut_off
        if not cut_off:
            self.notices.append(f"Connected again to {self._client.endpoint}")
        elif reason:
            self.notices.append(f"Cut off. {reason}")
        self._on_change()


def _names_in(previewed: str) -> list[str]:
    """The names in `east[1-3],west1  (4 nodes)`; none if the answer is no such set."""
    folded = previewed.partition(" ")[0]
    try:
        return nodeset.spell_out(split_folded(folded)) if folded else []
    except UsageError:
        return []
