"""The cost of one line for everybody: each command of a manager and of a node, with 64 KiB of each kind of nasty text.

`python -m ops.bench.nasty [WORD …]` prints, for the commands that begin with a WORD (by default all), the longest time
for which a line held the event loop, and the longest time that all threads spent on it. Both are processor time of this
process, so that a busy machine does not change them.
"""

import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from eccmgr.commands.answer import Format
from eccmgr.commands.caller import Caller
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import LINE_BYTES_MAX
from eccmgr.config.live.store import Store
from eccmgr.config.live.transaction import ConfigSession
from eccmgr.daemon import Daemon
from eccmgr.manager import Manager
from eccmgr.modules.catalogue import installed
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.settings import ManagerSettings, NodeSettings
from worker.node import EcNode

_LEFT_OUT = ("shutdown", "cluster reset", "flush control cache", "config writeback", "config write")
_PATIENCE_S = 20.0
_CONFIGURATION = """
Binding "{0}" {{ }}
Binding "b[1-3],{0}" {{ }}
exec "x" {{ commands = [ id = "/usr/bin/id" ] }}
sieve "s1" {{ }}
"""
_PIECES = (
    *("a", "0", "9", " ", "a ", '"', "'", "\\", "[", "]", "(", ")", "{", "}", "<", "&", "/", ":", ";", "#", "=", "%"),
    *(",", "-", ".", "@", "*", "?", "!", "+", "|", "^", "$", "_", "~", "a,", "a.", "1a", "a1", "[a", "a[", "[1", "()"),
    *(
        '""',
        "''",
        '"" ',
        '" ',
        '\\"',
        '\\" ',
        "\\\\",
        '"a" ',
        '"\\" ',
        "a=b ",
        "a = b ",
        "= ",
        "x=",
        "x =",
        "--",
        "-- ",
    ),
    *("@all,", "@east,", "@all ", "a[1-2]", "a[1-9],", "[1-10000]", "[0-1]", "[1,1]", "[1-2/1,", "1-2,", "1/", "01-"),
    *("n[1-100000][1-100000],", "a70000[11-105],", "n[1-10000],", "#", "#01KB3ZC0WV9Y ", "east1,", "east1 ", "east1."),
    *("password=", "password= ", "password='", "a_password ", "token=x ", "://a:", "://a:b@", "secret=", "pass1"),
    *("config set ", "json ", "xml ", "broadcast ", "gather ", "help ", "--timeout 5 ", "--batch=1 ", "sched in 5 "),
    *("config set password ", "retrieve ", "complete ", "x:y ", "cluster ", "Binding a ", "cluster duravip ", "to "),
    *("(?:", "(a+)+", "a{1000}", "(a{100}){100}", "[a-z]*", "a|", ".*", "(?i)", "\\pL", "[^a]", "(?#[)", "x{0,1000}"),
    *("{ ", "} ", "( ", ") ", "[ ", "] ", "[ a = ", "( a ", 'Binding "a" { ', "//", "/*", "*/", "1.", "1e", "0x", "::"),
    *(
        "é",
        "ß",
        "İ",
        "ſ",
        "\u2003",
        "\u2003a",
        "𝄞",
        "\u0300",
        "\u202e",
        "\x00",
        "\x1b[",
        "\x07",
        "\t",
        "\ufffd",
        "٣",
        "²",
    ),
    *("10.0.0.1 ", "::1 ", "TZ=", "* ", "1-5 ", "0 0 1 1 * ", "2026-01-01T", "\\n", "${a}", "$(a)", "`", "%Y", "a@b "),
)
_SHAPES = ("{name} {text}", "{name} x {text}", "{name} x = {text}", '{name} "{text}"', "{name} a b c {text}")
_FORMS = (Format.TEXT, Format.JSON)


class Cost(NamedTuple):
    """The cost of a line, in seconds of processor time: that of the longest turn of the event loop, and that of all
    threads together."""

    held_s: float
    whole_s: float
    line: str


class Turns:
    """The longest turn of the event loop since `begin`."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        run = asyncio.events.Handle._run

        def measured(handle: asyncio.events.Handle) -> None:
            before = time.thread_time()
            run(handle)
            self.longest_s = max(self.longest_s, time.thread_time() - before)

        setattr(asyncio.events.Handle, "_run", measured)  # noqa: B010 (a method, which an assignment may not replace)

    def begin(self) -> None:
        """Forget the turns so far."""
        self.longest_s = 0.0


def _lines(name: str) -> Iterator[str]:
    for piece in _PIECES:
        for shape in _SHAPES:
            room = LINE_BYTES_MAX - len(shape.format(name=name, text=""))
            line = shape.format(name=name, text=piece * (room // len(piece.encode())))
            yield line
    yield f"{name} {'(' * 30_000}{')' * 30_000}"
    yield f"{name} {'[' * 30_000}{']' * 30_000}"
    yield f"{name} x = {'[ a = b ' * 4_000}{'] ' * 4_000}"


async def _cost(daemon: Daemon, turns: Turns, line: str, form: Format, session: object) -> Cost:
    # Let the work that earlier lines left behind run first.
    await asyncio.sleep(0)
    turns.begin()
    before = time.process_time()
    caller = Caller("bench", session=session)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.create_task(reply(daemon.gate, line, caller, form))
    return Cost(turns.longest_s, time.process_time() - before, line)


async def _try_all(daemon: Daemon, turns: Turns, chosen: tuple[str, ...]) -> None:
    names = [command.name for command in daemon.table.listed() if command.name not in _LEFT_OUT]
    for name in (*names, ""):
        if chosen and not name.startswith(chosen):
            continue
        costs = []
        session = ConfigSession()
        for line in _lines(name):
            costs += [await _cost(daemon, turns, line.lstrip(" "), form, session) for form in _FORMS]
        held, whole = max(costs, key=lambda cost: cost.held_s), max(costs, key=lambda cost: cost.whole_s)
        shown = [f"{cost.line[:20]!r}…{cost.line[len(name) + 20 :][:30]!r}" for cost in (held, whole)]
        print(
            f"{daemon.program:7} {name or '(none)':28} held {held.held_s * 1000:7.1f} ms  by {shown[0]:66} "
            f"whole {whole.whole_s * 1000:7.1f} ms  by {shown[1]}",
            flush=True,
        )


async def main(chosen: tuple[str, ...]) -> None:
    """Run a manager and a node in this process, and try every line on both."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    turns = Turns()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        file = Path(folder) / "main.conf"
        file.write_text(_CONFIGURATION.format("a" * 200))
        more: dict[str, Any] = {"redis": server.url}
        daemons: tuple[Daemon, ...] = (
            Manager(ManagerSettings(listen=(f"{folder}/m",), **more), Store.open(str(file), schema=installed().schema)),
            EcNode(NodeSettings(listen=(f"{folder}/n",), **more), Store.open(str(file), schema=installed().schema)),
        )
        tasks = [asyncio.create_task(daemon.serve(lambda: None)) for daemon in daemons]
        while not all(daemon.session.joined.is_set() for daemon in daemons):
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    await task
        for daemon in daemons:
            await _try_all(daemon, turns, chosen)
        for daemon in daemons:
            daemon.stop()
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(tuple(sys.argv[1:])))
