"""The answers of a server to a call: any reply of the protocol to any of our scripts and commands."""

import dataclasses
import enum
import math
import re
from typing import Any

import hiredis

from eccmgr.cluster.calls import answers, commands, membership, views
from eccmgr.cluster.calls.views import ViewNumber
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.results import State
from eccmgr.cluster.view import EVERYONE
from eccmgr.duravip.records import Era
from eccmgr.errors import Unreadable
from eccmgr.redis.keys import Keys
from eccmgr.redis.kinds import mend
from eccmgr.redis.scripts import ScriptCall
from eccmgr.schedules import calls as schedules
from eccmgr.schedules.calls import ShelfKeys
from eccmgr.schedules.schedule import Firing, Schedule
from eccmgr.schedules.times import Once
from tests.fuzz.target import fuzzed
from worker.duravip import calls as vips
from worker.duravip.model.actions import Acquire, OpenEra, Read, Release, StateHeld, TakeOver

_KEYS, _OPTIONS, _SHELF = Keys("c"), ClusterOptions(), ShelfKeys.of(Keys("c"), "")
_ORDER = commands.CommandOrder("01", "d", "pid", EVERYONE, "root", "k")
_RUN = Firing("a", "pid", "root", 1, "#m", 2)
_DUE = Schedule("a", "pid", "root", Once(1))
_ERA = Era(1, "m")
_LARGEST = 10**15

ENDLESS = re.compile(rb"[*%~>|][0-9]{7,}")
"""The parser makes room for a list before its items come, which takes seconds for so many of them. Only a server that
is not Redis announces so many, never what somebody has written into Redis."""

CALLS: tuple[ScriptCall[Any], ...] = (
    membership.join(_KEYS, _OPTIONS, Identity(Role.NODE, "a", "b"), "#a", rate=1.0),
    membership.renew(_KEYS, _OPTIONS, "#a", rate=1.0),
    membership.leave(_KEYS, _OPTIONS, "#a"),
    membership.resettle(_KEYS, _OPTIONS, "#a", "a", "b", "r"),
    membership.sweep(_KEYS, _OPTIONS),
    views.page("k"),
    views.roster(_KEYS, _OPTIONS, 1),
    views.expect(_KEYS, _OPTIONS, "s", "c", ()),
    views.forget(_KEYS, _OPTIONS, "a", "root"),
    commands.draft(_KEYS, _OPTIONS, "k", ()),
    commands.publish(_KEYS, _OPTIONS, _ORDER),
    commands.release(_KEYS, _OPTIONS, "01", EVERYONE, ()),
    commands.abort(_KEYS, _OPTIONS, "01", "root"),
    commands.flush(_KEYS, _OPTIONS),
    commands.history(_KEYS, _OPTIONS, 1),
    commands.catch_up(_KEYS, _OPTIONS, "0-0", 1, "a", ()),
    commands.say_words(_KEYS, _OPTIONS, (), 1.0, 1),
    answers.claim(_KEYS, _OPTIONS, "01", "#a", "a", 1),
    answers.respond(
        *(_KEYS, _OPTIONS, "01", "#a", "a", 1),
        state=State.OK.value,
        took_ms=1,
        flags="",
        body=b"",
        claimed=True,
    ),
    answers.collect(_KEYS, _OPTIONS, "01", 0, 1, driver="d"),
    answers.results(_KEYS, _OPTIONS, "01", "d"),
    schedules.add(_SHELF, _DUE, 1, 1),
    schedules.take(_SHELF, _DUE, 1, None, _RUN, _RUN),
    schedules.move(_SHELF, "a", None, None),
    schedules.keep(_SHELF, _RUN, _RUN),
    vips.state(StateHeld("#a", _ERA, ()), _KEYS, _OPTIONS),
    vips.open_era(OpenEra("#a", _ERA), _KEYS),
    vips.acquire(Acquire("#a", _ERA, ()), _KEYS, _OPTIONS, "a"),
    vips.release(Release("#a", _ERA, ()), _KEYS, _OPTIONS),
    vips.read(Read("#a", _ERA, 0), _KEYS),
    vips.take_over(TakeOver("#a", _ERA, "#b", 1), _KEYS, _OPTIONS),
    vips.say(_KEYS, _ERA, "@a", "x"),
    mend({"k": "hash"}),
    answers.follow(_KEYS, _OPTIONS, "01"),
    answers.standing(_KEYS, _OPTIONS, "01", ("a",), ("#a",)),
)


def reply_of(data: bytes) -> Any:
    """The reply of which these are the bytes on the wire. Raises Unreadable if they are not a reply."""
    parser = hiredis.Reader(protocolError=Unreadable, replyError=Unreadable)
    try:
        parser.feed(data)
        return parser.gets()
    except (TypeError, ValueError, MemoryError) as error:
        raise Unreadable(str(error)) from error


_WORDS = tuple(
    b"*2\r\n|*6\r\n|%1\r\n|~1\r\n|:1\r\n|$-1\r\n|_\r\n|,nan\r\n|,inf\r\n|#t\r\n|(99999999999999999999\r\n|$2\r\nok\r\n|$0\r\n\r\n|"
    b"$7\r\nrenewed\r\n|$6\r\njoined\r\n|$4\r\nsent\r\n|$7\r\nclaimed\r\n|:-1\r\n|$3\r\n1e9\r\n|$3\r\nnan\r\n".split(
        b"|"
    )
)


@fuzzed(Unreadable, words=_WORDS)
def script_replies(data: bytes) -> None:
    """Any reply to a script's call is read within bounds, or raises Unreadable."""
    if not data or ENDLESS.search(data):
        return
    call = CALLS[data[0] % len(CALLS)]
    check_bounds(call.answer(reply_of(data[1:])))


def check_bounds(value: Any) -> None:
    """Every text was read as a text, and every number is finite, and not larger than the largest that we write."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, int):
        assert -_LARGEST <= value <= _LARGEST
    elif isinstance(value, dict):
        check_bounds(tuple(value.items()))
    elif not isinstance(value, tuple | list):
        assert value is None or isinstance(value, str | bytes | enum.Enum), value
    elif isinstance(value, tuple | list):
        if isinstance(value, ViewNumber):
            assert isinstance(value.born, bytes), value
        for each in value:
            check_bounds(each)
