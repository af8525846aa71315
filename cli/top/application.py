"""The full screen of `ec_console top`, on prompt_toolkit: keys, redrawing, and the end."""

import asyncio
import base64
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from cli.top.drawing import Circumstances, frame
from cli.top.following import FeedFollower
from cli.top.rows import PANES, Pane, PaneRow, fitting, in_order, node_rows
from cli.top.seen import FeedSeen
from cli.top.state import TopState
from eccmgr.cluster.names import fold
from eccmgr.commands.answer import Exit
from eccmgr.control.client.session import Client
from eccmgr.errors import EccmgrError

_DRAW_EVERY_S = 0.5
_NAMES_SHOWN = 60
_CLIPBOARD_MAX = 60_000
_PAGE = 10
_FAR = 10**9
_CONNECT_S = 60.0
_COLORED = Style.from_dict(
    {
        "title": "bold",
        "chosen": "bold ansicyan",
        "head": "ansibrightblack",
        "bad": "ansired",
        "open": "ansiyellow",
        "selected": "reverse",
        "status": "ansibrightblack",
    }
)
_PLAIN = Style.from_dict({"title": "bold", "chosen": "bold", "selected": "reverse"})


class TopView:
    """What is shown, and the application that shows it."""

    def __init__(self, client: Client, *, color: bool) -> None:
        self._seen, self._frozen = FeedSeen(), FeedSeen()
        self._state, self._cut_off = TopState(), "connecting"
        self._made: dict[str, tuple[object, list[PaneRow]]] = {}
        self._follower = FeedFollower(client, self._take_later, self._state_later)
        self._loop: asyncio.AbstractEventLoop | None = None
        control = FormattedTextControl(self._text, show_cursor=False)
        self._application: Application[None] = Application(
            layout=Layout(Window(control, always_hide_cursor=True, wrap_lines=False)),
            key_bindings=self._keys(),
            full_screen=True,
            style=_COLORED if color else _PLAIN,
            color_depth=None if color else ColorDepth.DEPTH_1_BIT,
            refresh_interval=_DRAW_EVERY_S,
            min_redraw_interval=0.05,
        )
        self._application.ttimeoutlen = 0.1

    def run(self) -> Exit:
        """Show the screen until the operator quits. The terminal is then as it was before."""
        asyncio.run(self._run())
        if self._follower.refused:
            sys.stderr.write(f"ec_console: {self._follower.refused}\n")
        return self._follower.exit

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._quit)
        self._follower.thread.start()
        try:
            with contextlib.suppress(EOFError, KeyboardInterrupt):
                await self._application.run_async(handle_sigint=True)
        finally:
            self._follower.end()
            await asyncio.to_thread(self._follower.thread.join, 2.0)

    def _quit(self) -> None:
        if self._application.is_running and not self._application.is_done:
            self._application.exit()

    # In the follower's thread.

    def _take_later(self, event: Mapping[str, Any]) -> None:
        self._call(self._take, event)

    def _state_later(self, reason: str) -> None:
        self._call(self._change_state, reason)

    def _call(self, act: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):
            # The loop may have ended a moment ago.
            assert self._loop is not None
            self._loop.call_soon_threadsafe(act, *args)

    # In the loop.

    def _take(self, event: Mapping[str, Any]) -> None:
        self._seen.take(event, time.monotonic())

    def _change_state(self, reason: str) -> None:
        self._cut_off = reason
        if self._follower.refused:
            self._quit()

    @property
    def _shown(self) -> FeedSeen:
        return self._frozen if self._state.paused else self._seen

    def _rows(self, pane: Pane) -> list[PaneRow]:
        """The rows of a pane. They are made anew only if something about them has changed, or a second has passed."""
        seen, state = self._shown, self._state
        now_ms = time.time_ns() // 1_000_000
        inside = state.inside if pane is PANES[0] else ""
        changes = tuple(seen.changes[topic] for topic in pane.topics)
        mark = (id(seen), changes, inside, state.filter(pane), state.order(pane), now_ms // 1000)
        if pane.digit not in self._made or self._made[pane.digit][0] != mark:
            rows = node_rows(seen, inside) if inside else pane.rows(seen, now_ms)
            self._made[pane.digit] = mark, in_order(fitting(rows, state.filter(pane)), state.order(pane))
        return self._made[pane.digit][1]

    def _text(self) -> StyleAndTextTuples:
        size = self._application.output.get_size()
        now_ms, now_s = time.time_ns() // 1_000_000, time.monotonic()
        at = Circumstances(size.columns, size.rows, now_ms, now_s, self._cut_off)
        lines = frame(self._shown, self._state, self._rows, at)
        fragments: StyleAndTextTuples = []
        for number, line in enumerate(lines):
            fragments += [("", "\n"), *line] if number else line
        return fragments

    def _copy(self) -> None:
        rows = self._rows(self._state.chosen)
        names = [name for row in rows for name in row.nodes]
        if self._state.chosen is PANES[0] and not self._state.inside and rows:
            chosen = rows[self._state.index(PANES[0], rows)].key
            names = [name for row in node_rows(self._shown, chosen) for name in row.nodes]
        if not names:
            self._state.said = "There is no node here whose name could be copied"
            return
        folded = fold(names)
        shown = fold(names, _NAMES_SHOWN)
        if len(folded) > _CLIPBOARD_MAX:
            self._state.said = f"Too many names for a clipboard: {shown}"
            return
        # OSC 52: the terminal itself copies it, also through ssh.
        encoded = base64.b64encode(folded.encode()).decode()
        self._application.output.write_raw(f"\x1b]52;c;{encoded}\x07")
        self._application.output.flush()
        self._state.said = f"Copied: {shown}"

    def _pause(self) -> None:
        if not self._state.paused:
            self._frozen = self._seen.frozen()
        self._state.paused = not self._state.paused

    # The keys.

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        state = self._state
        typing, idle = Condition(lambda: state.typing is not None), Condition(lambda: state.typing is None)
        self._typing_keys(keys, typing)

        def bind(names: Sequence[str], act: Callable[[], object]) -> None:
            def pressed(_event: KeyPressEvent) -> None:
                act()

            for name in names:
                keys.add(name, filter=idle)(pressed)

        for pane in PANES:
            bind([pane.digit], partial(state.choose, pane.digit))
        for names, by in ((["up", "k"], -1), (["down", "j"], 1), (["pageup"], -_PAGE), (["pagedown"], _PAGE)):
            bind(names, partial(self._move, by))
        bind(["home"], lambda: self._move(-_FAR))
        bind(["end"], lambda: self._move(_FAR))
        bind(["tab"], lambda: state.choose_next(1))
        bind(["s-tab"], lambda: state.choose_next(-1))
        bind(["enter"], lambda: state.open(self._rows(state.chosen)))
        bind(["escape", "backspace"], state.back)
        bind(["/"], state.begin_filter)
        bind(["?"], self._help)
        bind(["s"], state.sort)
        bind(["p"], self._pause)
        bind(["w"], state.show_late)
        bind(["y"], self._copy)
        bind(["q", "c-c", "c-d", "<sigint>"], self._quit)
        bind(["c-l"], self._application_clear)
        bind(["c-z"], self._suspend)
        return keys

    def _typing_keys(self, keys: KeyBindings, typing: Condition) -> None:
        state = self._state

        @keys.add("<any>", filter=typing)
        def _type(event: KeyPressEvent) -> None:
            state.typing = (state.typing or "") + "".join(key for key in event.data if key.isprintable())

        @keys.add("backspace", filter=typing)
        def _rub_out(_event: KeyPressEvent) -> None:
            state.typing = (state.typing or "")[:-1]

        @keys.add("enter", filter=typing)
        def _keep(_event: KeyPressEvent) -> None:
            state.end_filter(keep=True)

        @keys.add("escape", filter=typing)
        @keys.add("c-c", filter=typing)
        @keys.add("<sigint>", filter=typing)
        def _drop(_event: KeyPressEvent) -> None:
            state.end_filter(keep=False)

    def _move(self, by: int) -> None:
        self._state.move(self._rows(self._state.chosen), by)

    def _help(self) -> None:
        self._state.help = not self._state.help

    def _application_clear(self) -> None:
        self._application.renderer.clear()

    def _suspend(self) -> None:
        self._application.suspend_to_background()


def main(client: Client, *, color: bool) -> int:
    """Show the cluster on the full screen of a terminal; answers the exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb").lower() == "dumb":
        sys.stderr.write("ec_console: top needs a terminal; a program reads the feed itself (docs/feed.md)\n")
        return Exit.USAGE
    from cli.console.screen import harmless_screen

    try:
        # A password is asked for before the screen is another one.
        client.connect(time.monotonic() + _CONNECT_S)
    except EccmgrError as error:
        sys.stderr.write(f"ec_console: {error}\n")
        return Exit.NO_CONNECTION
    with harmless_screen():
        return TopView(client, color=color).run()
