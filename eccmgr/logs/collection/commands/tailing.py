"""`logs tail`: the last lines of a log on nodes, then new ones, without a collector."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from redis.exceptions import RedisError

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.results import Report, State
from eccmgr.cluster.view import EVERYONE, Target, TargetKind, View
from eccmgr.commands import node_lines, rendering
from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.caller import Event
from eccmgr.commands.table import Call, Command, Param
from eccmgr.commands.target import read_target
from eccmgr.errors import RedisUnreachable, UsageError
from eccmgr.logs.collection.commands.last_lines import unquoted
from eccmgr.logs.collection.commands.watch import LINES_MAX
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.wire import Wire
from eccmgr.text import words
from eccmgr.text.unseen import visible_line

USAGE = "logs tail [--lines N] NODE|@SUB|all LOG [REGEX]"
_LINES = 10
_ASK_S = 10.0
_AGAIN_S = 60.0
_WAITING_MAX = 10_000
_ABOUT = (
    f"First come the last N lines of the log on each node ({_LINES} if not given, at most {LINES_MAX}), then new\n"
    "lines as they arrive, until you stop it. A client that asks for no stream gets only the last lines.\n"
    "With REGEX only lines in which REGEX is found are shown. The nodes read their own files, so no manager\n"
    "needs to collect them."
)


class TailWish(NamedTuple):
    """What somebody wants to see."""

    lines: int
    target: str
    log: str
    pattern: str

    @classmethod
    def parse(cls, line: str) -> "TailWish":
        """Read the words behind `logs tail`. Raises UsageError."""
        lines, at = _LINES, words.skip_space(line, 0)
        if line.startswith("--", at):
            option = words.next_word(line, at)
            name, given, number = option.text.partition("=")
            at = words.skip_space(line, option.end)
            if name == "--lines" and not given and at < len(line):
                word = words.next_word(line, at)
                number, at = word.text, words.skip_space(line, word.end)
            if name != "--lines" or not number.isdigit() or len(number) > 4 or int(number) > LINES_MAX:
                raise UsageError(f"Usage: {USAGE}, with N up to {LINES_MAX}")
            lines = int(number)
        named = []
        for _ in range(2):
            if at >= len(line):
                raise UsageError(f"Usage: {USAGE}")
            word = words.next_word(line, at)
            named.append(word.text)
            at = words.skip_space(line, word.end)
        target, log = named
        return cls(lines, target, log, unquoted(line[at:]))


class Tailing:
    """The command `logs tail` of one manager."""

    def __init__(self, link: Link, keys: Keys, delivery: Delivery, logs: Callable[[], Iterable[str]]) -> None:
        """`logs` gives the names of the known logs, for completion."""
        self._link, self._keys, self._delivery, self._logs = link, keys, delivery, logs

    def commands(self) -> tuple[Command, ...]:
        """The entry in the table of commands."""
        rest = Param(
            "[--lines N] NODE|@SUB|all LOG [REGEX]", "target", rest=True, choices=lambda: ("all", *self._logs())
        )
        brief = "the last lines of a log on nodes, then new ones"
        return (Command("logs tail", brief, self._tail, (rest,), about=_ABOUT, reads=True),)

    async def _tail(self, call: Call) -> Answer:
        wish = TailWish.parse(call.args[0])
        target = _target(wish.target, await self._delivery.view())
        emit = call.caller.emit
        if emit is None:
            report = await self._ask(call, wish, target, wish.lines, "-")
            return rendering.answer(report, call.caller.form)
        process = f"{os.getpid()}-{secrets.token_hex(6)}"
        waiting: asyncio.Queue[list[object]] = asyncio.Queue(_WAITING_MAX)
        try:
            wire = await self._link.subscribe([self._keys.tailed(process)], lambda push: _put(waiting, push))
        except (RedisError, OSError) as error:
            raise RedisUnreachable(f"Redis is not reachable: {self._link.reason(error)}") from error
        try:
            return await self._stream(call, wish, target, process, wire, waiting, emit)
        finally:
            wire.close()

    async def _stream(
        self,
        call: Call,
        wish: TailWish,
        target: Target,
        process: str,
        wire: Wire,
        waiting: "asyncio.Queue[list[object]]",
        emit: Callable[[Event], Awaitable[None]],
    ) -> Answer:
        several = target.kind is not TargetKind.NODE
        report = await self._ask(call, wish, target, wish.lines, process)
        for outcome in report.outcomes:
            if outcome.state is State.OK:
                await _emit(emit, outcome.node if several else "", outcome.text.splitlines())
        silent = [node_lines.line(outcome) for outcome in report.outcomes if outcome.state is not State.OK]
        if silent:
            await _emit(emit, "", silent)
        if len(silent) == len(report.outcomes):
            return Answer("\n".join(silent), Status.ERROR, tail="")
        asked_s = time.monotonic()
        while wire.fault is None:
            try:
                async with asyncio.timeout(1.0):
                    push = await waiting.get()
                node, lines = _read(push)
                await _emit(emit, node if several else "", lines)
            except TimeoutError:
                pass
            if time.monotonic() - asked_s > _AGAIN_S:
                await self._ask(call, wish, target, 0, process)
                asked_s = time.monotonic()
        raise RedisUnreachable("Redis is not reachable: the lines no longer arrive; run the command again")

    async def _ask(self, call: Call, wish: TailWish, target: Target, lines: int, process: str) -> Report:
        # The caller may run `logs tail`, and gave no command for nodes. A node asks its own roles about this one.
        text = f"cluster logs watch {words.quote(wish.log)} {lines} {process}"
        text = f"{text} {words.quote(wish.pattern)}" if wish.pattern else text
        return await self._delivery.gather(text, target, call.caller.user, _ASK_S)


def _target(word: str, view: View) -> Target:
    if word.lower() == "all":
        return EVERYONE
    return read_target(word, view)


def _put(waiting: "asyncio.Queue[list[object]]", push: list[object]) -> None:
    try:
        waiting.put_nowait(push)
    except asyncio.QueueFull:
        # The console reads more slowly than the logs grow. It sees the next lines.
        waiting.get_nowait()
        waiting.put_nowait(push)


def _read(push: list[object]) -> tuple[str, Sequence[str]]:
    """The node and its lines in a message; nothing if no node wrote it."""
    try:
        said = json.loads(bytes(push[-1]))  # type: ignore[call-overload]
        return visible_line(str(said["node"])), [visible_line(str(line)) for line in said["lines"]]
    except (ValueError, TypeError, LookupError, RecursionError):
        return "", ()


async def _emit(emit: Callable[[Event], Awaitable[None]], node: str, lines: Iterable[str]) -> None:
    for line in lines:
        await emit({"event": "text", "line": f"{node}: {line}" if node else line})
