"""Each script has one typed function for its calls, and a reply that no script gives ends no daemon."""

import contextlib
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.cluster.calls import answers, commands, membership, views
from eccmgr.cluster.calls.commands import CommandOrder
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import EVERYONE
from eccmgr.duravip import believed
from eccmgr.duravip.records import Era
from eccmgr.errors import Unreadable
from eccmgr.logs.collection.pipe import calls as pipes
from eccmgr.logs.collection.pipe.calls import LogLease, PipeKeys
from eccmgr.logs.collection.places import FileIdentity, LogPlace, digest
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall, names
from worker.duravip import calls as vips
from worker.duravip.model.actions import Acquire, StateHeld, Wish

ROOT = Path(__file__).resolve().parents[2]
KEYS, OPTIONS = Keys("c"), ClusterOptions()
PIPE, LEASE = PipeKeys.of(KEYS, "east1", "mainlog"), LogLease("master", "#mgr-1#m", 1)
CALLS: tuple[ScriptCall[Any], ...] = (
    membership.join(KEYS, OPTIONS, Identity(Role.NODE, "east1"), "#ec0-1#east1", rate=2),
    membership.renew(KEYS, OPTIONS, "#ec0-1#east1", rate=2),
    membership.leave(KEYS, OPTIONS, "#ec0-1#east1"),
    membership.resettle(KEYS, OPTIONS, "#ec0-1#east1", "east1", "west", "{}"),
    membership.sweep(KEYS, OPTIONS),
    views.page(KEYS.roster),
    views.roster(KEYS, OPTIONS, 1000),
    views.expect(KEYS, OPTIONS, "a", "the file", ()),
    views.forget(KEYS, OPTIONS, "east1", "root"),
    commands.draft(KEYS, OPTIONS, KEYS.draft("1"), ("east1",)),
    commands.publish(KEYS, OPTIONS, CommandOrder("ID", "digest", "pid", EVERYONE, "root", KEYS.draft("1"))),
    commands.release(KEYS, OPTIONS, "ID", EVERYONE, ("east1",)),
    commands.abort(KEYS, OPTIONS, "ID", "root"),
    commands.flush(KEYS, OPTIONS),
    commands.catch_up(KEYS, OPTIONS, "0-0", 10, "east1", ()),
    commands.say_words(KEYS, OPTIONS, ("pid",), 1, 10),
    answers.claim(KEYS, OPTIONS, "ID", "#ec0-1#east1", "east1", 1),
    answers.respond(
        *(KEYS, OPTIONS, "ID", "#ec0-1#east1", "east1", 1), state="ok", took_ms=0, flags="", body=b"", claimed=True
    ),
    answers.collect(KEYS, OPTIONS, "ID", 0, 1, driver="d"),
    answers.follow(KEYS, OPTIONS, "ID"),
    answers.standing(KEYS, OPTIONS, "ID", ("east1",), ("#ec0-1#east1",)),
    answers.results(KEYS, OPTIONS, "ID", "digest"),
    believed.beliefs(KEYS, ("east1",)),
    pipes.append(PIPE, OPTIONS, tail="", most=1, subscribers=("master",), says="", words=()),
    pipes.take_lease(PIPE, OPTIONS, "master", "#mgr-1#m"),
    pipes.commit(PIPE, OPTIONS, LEASE, "{}", 1),
    pipes.rewind(PIPE, LEASE, LogPlace(1, FileIdentity(1, 1, 0, digest(b"")), 0, digest(b"")), 1),
    pipes.release(PIPE, LEASE),
    pipes.forget(PIPE, "master"),
)
WORDS = st.sampled_from((b"joined", b"renewed", b"taken", b"sent", b"claimed", b"", b"\xff", b"-1", None, 7))


def test_each_script_is_called_through_one_function() -> None:
    sources = [path.read_text() for package in ("eccmgr", "worker") for path in (ROOT / package).rglob("*.py")]
    called = Counter(name for source in sources for name in re.findall(r'ScriptCall\(\s*"(\w+)"', source))
    assert called == Counter(names())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.script)
def test_a_strange_reply_is_unreadable_and_nothing_else(call: ScriptCall[Any]) -> None:
    @given(reply=WORDS | st.lists(WORDS | st.lists(WORDS, max_size=3), max_size=9))
    def example(reply: Any) -> None:
        with contextlib.suppress(Unreadable):
            call.answer(reply)

    example()


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        (membership.renew(KEYS, OPTIONS, "#a", ("all",), rate=2), [b"renewed", 1, 1, [], b"", 0, b"1", [], b""]),
        (membership.renew(KEYS, OPTIONS, "#a", rate=2), [b"78"]),
        (commands.catch_up(KEYS, OPTIONS, "0-0", 10, "east1", ()), [b"junk", 0, []]),
        (views.roster(KEYS, OPTIONS, 1000), [7, [b"7"]]),
        (views.page(KEYS.roster), [b"0", [b"a", 7.0]]),
        (
            vips.acquire(Acquire("#a", Era(1, "m"), (Wish("10.0.0.1", 0, ""),)), KEYS, OPTIONS, "a"),
            [b"ok", 1, b"m", []],
        ),
        (vips.state(StateHeld("#a", Era(1, "m"), (("10.0.0.1", 1),)), KEYS, OPTIONS), [b"ok", 1, b"m", [1, 1]]),
    ],
    ids=lambda call: getattr(call, "script", ""),
)
def test_an_answer_to_another_question_is_unreadable(call: ScriptCall[Any], reply: Any) -> None:
    with pytest.raises(Unreadable):
        call.answer(reply)
