"""A function becomes a command: its parameters are the words, and its returned or yielded values are the answer."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest

from eccmgr.commands.caller import Caller, Event
from eccmgr.commands.danger import Danger
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.errors import CommandError, UsageError
from eccmgr.modules import Answer, Call, Rest, Takes, command
from eccmgr.modules.functions import as_command, commands_of


def table_of(*functions: Any) -> Table:
    table = Table()
    table.add(*map(as_command, functions))
    return table


def answer(table: Table, line: str, caller: Caller | None = None) -> Answer:
    return asyncio.run(Gate(table).run(line, caller or Caller("ann")))


@command("greet", "says hello")
async def greet(name: str, times: int = 1, loud: bool = False) -> str:
    text = " ".join([f"hello {name}"] * times)
    return text.upper() if loud else text


def test_words_become_arguments_of_their_types() -> None:
    assert answer(table_of(greet), "greet ann 2 yes").text == "HELLO ANN HELLO ANN"


def test_what_has_a_default_may_be_missing() -> None:
    table = table_of(greet)
    assert table.commands["greet"].usage == "greet NAME [TIMES] [LOUD]"
    assert answer(table, "greet 'ann lee'").text == "hello ann lee"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("greet ann two", "greet: TIMES takes a whole number, not 'two'"),
        ("greet ann 2 maybe", "greet: LOUD takes on or off, not 'maybe'"),
        ("greet", "Usage: greet NAME [TIMES] [LOUD]"),
        ("greet ann 1 on more", "Usage: greet NAME [TIMES] [LOUD]"),
    ],
)
def test_wrong_words_are_answered_with_right_ones(line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        answer(table_of(greet), line)


def test_the_rest_of_a_line_comes_as_typed() -> None:
    @command("say", "repeats")
    async def say(text: Rest = "") -> str:
        return text

    table = table_of(say)
    assert answer(table, 'say  a  "b  c"').text == 'a  "b  c"'
    assert answer(table, "say").text == ""


def test_a_function_may_ask_for_the_call_itself() -> None:
    @command("who", "who asks")
    async def who(prefix: str = "by", call: Call | None = None) -> str:  # the default is never used
        assert call is not None
        return f"{prefix} {call.caller.user}"

    with pytest.raises(TypeError, match="cannot be a word"):
        table_of(who)

    @command("who", "who asks")
    async def who_asks(call: Call, prefix: str = "by") -> str:
        return f"{prefix} {call.caller.user}"

    assert answer(table_of(who_asks), "who").text == "by ann"


def test_plain_function_does_not_block_the_loop() -> None:
    release = threading.Event()

    @command("block", "blocks a thread")
    def block() -> None:
        assert release.wait(30), "the loop goes on meanwhile"

    async def main() -> None:
        table = table_of(block)
        running = asyncio.create_task(Gate(table).run("block", Caller("ann")))
        asyncio.get_running_loop().call_soon(release.set)
        assert (await running).text == ""

    asyncio.run(main())


def test_function_that_exits_ends_only_itself() -> None:
    @command("leave", "ends its program")
    def leave() -> None:
        sys.exit(3)

    with pytest.raises(RuntimeError, match=r"^it called sys.exit\(3\)$"):
        answer(table_of(leave), "leave")


@command("count", "counts")
async def count(to: int) -> AsyncIterator[str]:
    for number in range(to):
        yield f"{number}"


@command("count plainly", "counts")
def count_plainly(to: int) -> Iterator[int]:
    yield from range(to)


@pytest.mark.parametrize("line", ["count 3", "count plainly 3"])
def test_yielded_lines_reach_the_console_as_they_come(line: str) -> None:
    events: list[Event] = []

    async def emit(event: Event) -> None:
        events.append(event)

    table = table_of(count, count_plainly)
    assert answer(table, line).text == "0\n1\n2"
    answered = answer(table, line, Caller("ann", emit=emit))
    assert (answered.text, answered.tail) == ("0\n1\n2", "")
    assert events == [{"line": "0"}, {"line": "1"}, {"line": "2"}]


def test_endless_answer_is_refused_and_its_source_closed() -> None:
    closed = []

    @command("flood", "never ends")
    async def flood() -> AsyncIterator[str]:
        try:
            while True:
                yield "x" * 1_000_000
        finally:
            closed.append(True)

    with pytest.raises(CommandError, match="longer than 16 MiB"):
        answer(table_of(flood), "flood")
    assert closed == [True]


def test_a_serial_command_runs_one_at_a_time() -> None:
    running: list[str] = []

    @command("once", "alone", serial=True)
    async def once(name: str) -> None:
        running.append(f"{name} begins")
        await asyncio.sleep(0)
        running.append(f"{name} ends")

    async def main() -> None:
        table = table_of(once)
        await asyncio.gather(*(Gate(table).run(f"once {name}", Caller("ann")) for name in "ab"))

    asyncio.run(main())
    assert running == ["a begins", "a ends", "b begins", "b ends"]


def test_abandoned_serial_function_ends_before_the_next_begins() -> None:
    began, go_on, running = threading.Event(), threading.Event(), list[str]()

    @command("once", "alone", serial=True)
    def once(name: str) -> None:
        running.append(f"{name} begins")
        began.set()
        go_on.wait(30)
        running.append(f"{name} ends")

    async def main() -> None:
        table = table_of(once)
        first = asyncio.create_task(Gate(table).run("once a", Caller("ann")))
        await asyncio.to_thread(began.wait, 30)
        first.cancel()
        await asyncio.wait((first,))
        waits = asyncio.create_task(Gate(table).run("once b", Caller("ann")))
        gives_up = asyncio.create_task(Gate(table).run("once c", Caller("ann")))
        await asyncio.wait((waits, gives_up), timeout=0.05)
        gives_up.cancel()
        go_on.set()
        await waits

    asyncio.run(main())
    assert running == ["a begins", "a ends", "b begins", "b ends"]


class Shop:
    """Has commands as methods."""

    wares = ("milk", "bread")

    def names(self) -> tuple[str, ...]:
        return self.wares

    @command("sell", "sells", danger=True)
    async def sell(self, ware: Annotated[str, Takes(choices=names)]) -> str:
        return f"sold {ware}"

    @command("close", "closes", idempotent=True)
    async def close(self) -> str:
        return "closed"


def test_the_methods_of_an_object_are_its_commands() -> None:
    sell, close = commands_of(Shop(), "shop:corner")
    assert (sell.name, sell.danger, sell.idempotent) == ("shop:corner sell", Danger.ASKS, False)
    assert (close.name, close.danger, close.idempotent) == ("shop:corner close", Danger.NONE, True)
    assert sell.params[0].choices is not None
    assert list(sell.params[0].choices()) == ["milk", "bread"]


@pytest.mark.asyncio
async def test_slow_functions_leave_the_daemon_its_threads() -> None:
    release = threading.Event()

    @command("block", "waits")
    def block() -> None:
        release.wait(60)

    gate = Gate(table_of(block))
    blocked = [asyncio.create_task(gate.run("block", Caller("ann"))) for _ in range(100)]
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(lambda: "done") == "done"
    finally:
        release.set()
        await asyncio.gather(*blocked)
