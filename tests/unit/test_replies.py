"""Whatever a server replies to a command, the command's reader accepts one kind of reply and no other."""

import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from eccmgr.cluster.calls import answers, commands, membership
from eccmgr.cluster.history import _readable
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import Unreadable
from eccmgr.logs.collection.gathering.catalogue import read_catalogue, read_states
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall

OTHERS: list[Any] = [
    True,
    7,
    10**400,
    1.5,
    float("nan"),
    b"x",
    "x",
    [],
    [b"a"],
    [7],
    [[]],
    [None],
    {b"a": 7},
    {7: b"a"},
]
KEYS, OPTIONS = Keys("c"), ClusterOptions()


@pytest.mark.parametrize(
    ("read", "right"),
    [
        (replies.text, b"a"),
        (replies.value, b"a"),
        (replies.texts, [b"a", b"b"]),
        (lambda reply: replies.values(reply, 2), [b"a", None]),
        (replies.fields, {b"a": b"b"}),
        (replies.scores, [[b"a", 1.5]]),
        (replies.count, 12),
        (replies.time_ms, [b"17", b"5000"]),
        (replies.streams, {b"s": [[b"1-1", [b"a", b"b"]]]}),
    ],
)
def test_a_reply_of_another_kind_is_unreadable(read: Callable[[Any], object], right: Any) -> None:
    read(right)
    for other in OTHERS:
        try:
            read(other)
        except Unreadable:
            continue
        assert type(other) is type(right) or other in ([], None)


def test_fields_and_scores_are_read_in_both_protocols() -> None:
    assert replies.fields([b"a", b"1"]) == replies.fields({b"a": b"1"})
    entries = [[b"1-1", [b"a", b"1"]]]
    assert replies.streams([[b"s", entries]]) == replies.streams({b"s": entries}) == {b"s": [(b"1-1", {b"a": b"1"})]}
    assert replies.scores([b"a", b"1.5"]) == replies.scores([[b"a", 1.5]]) == [(b"a", 1.5)]


class Answering:
    """A link that gives one reply to every call."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    async def call(self, *_words: Any) -> Any:
        return self._reply

    async def pipeline(self, *commands: Any) -> list[Any]:
        return [self._reply] * len(commands)


@pytest.mark.asyncio
@pytest.mark.parametrize("reply", OTHERS, ids=lambda reply: type(reply).__name__)
async def test_no_reply_ends_who_collects_logs(reply: Any) -> None:
    link = cast(Link, Answering(reply))
    with contextlib.suppress(Unreadable):
        await read_catalogue(link, KEYS)
    with contextlib.suppress(Unreadable):
        await read_states(link, KEYS, [Unit("m1", "a1", "mainlog")])


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        (membership.renew(KEYS, OPTIONS, "#a", rate=1.0), [b"renewed", b"3", b"1", [], b"", 0, b"nan", [], b""]),
        (membership.renew(KEYS, OPTIONS, "#a", rate=1.0), [b"renewed", b"3", b"9" * 4000, [], b"", 0, b"1", [], b""]),
        (membership.renew(KEYS, OPTIONS, "#a", rate=1.0), [b"renewed", b"3", b"1", [], b"", 7, b"1", [], b""]),
        (answers.claim(KEYS, OPTIONS, "01", "#a", "a", 1), [b"claimed", 10**400]),
        (commands.catch_up(KEYS, OPTIONS, "0-0", 1, "a", ()), [b"1-1", 0, [7]]),
        (commands.history(KEYS, OPTIONS, 1), [7]),
    ],
)
def test_a_number_out_of_bounds_is_unreadable(call: ScriptCall[Any], reply: Any) -> None:
    with pytest.raises(Unreadable):
        call.answer(reply)


def test_a_past_command_without_fields_is_dropped() -> None:
    assert list(_readable([(), (b"",)])) == []
