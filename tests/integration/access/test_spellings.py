"""No spelling, carrier or fast path runs a command that a caller's roles do not allow; each refusal is counted."""

import json

import pytest

from eccmgr.control import frames
from tests.daemons import ask_sync
from tests.integration.access.guarded import Guarded
from tests.listeners import Client

NOT_AUTHORIZED = "Not Authorized for this command"
NO_FORM = ("A command is one line", "control character", "blank", "never closed", "nested too deep", "Command too long")
SPELLINGS = {
    "capitals": "SHUTDOWN",
    "quoted": '"shutdown"',
    "quoted in part": 'shut"down"',
    "escaped": "sh\\utdown",
    "blanks around": "  \t shutdown \v ",
    "NUL around": "\0shutdown\0",
    "NUL within": "shut\0down",
    "em space in front": "\u2003shutdown",
    "zero width space": "\u200bshutdown",
    "full-width letters": "ｓｈｕｔｄｏｗｎ",
    "combining": "shutdown\u0301",
    "long s": "\u017fhutdown",
    "xml": "xml shutdown",
    "json": "json shutdown",
    "xml json": "xml json shutdown",
    "quoted form": '"json" shutdown',
    "behind 1 MiB of blanks": " " * ((1 << 20) - 8) + "shutdown",
    "behind more blanks than a frame holds": " " * (1 << 20) + "shutdown",
    "behind 60 kB of blanks in quotes": '"' + " " * 60_000 + 'shutdown"',
    "second line": "gather uptime\nshutdown",
    "second line after CR": "gather uptime\rshutdown",
    "line separator": "gather uptime\u2028shutdown",
    "next line": "gather uptime\u0085shutdown",
    "semicolon": "gather uptime; shutdown",
    "allowed words behind": "broadcast config set x gather uptime",
    "allowed words inside quotes": 'broadcast "gather uptime"',
    "open quote": 'gather uptime "shutdown',
    "no-break space": "gather\u00a0uptime",
    "ideographic space": "gather uptime\u3000shutdown",
    "paragraph separator": "gather uptime\u2029shutdown",
    "form feed": "gather uptime\fshutdown",
    "byte order mark": "\ufeffshutdown",
    "soft hyphen": "shut\u00addown",
    "dotless i": "p\u0131d",
    "Cyrillic letters": "\u0440id",
    "Greek question mark": "gather uptime\u037e shutdown",
    "escape sequence": "\x1b[2Jshutdown",
    "DEL within": "shut\x7fdown",
    "escaped blank": "gather\\ uptime",
    "escaped line break": "gather uptime\\nshutdown",
    "quotes of two kinds": "'shut'\"down\"",
    "empty quotes around": "''shutdown''",
    "typographic quotes": "\u201cgather\u201d uptime",
    "right-to-left mark": "gather uptime \u202enwodtuhs",
    "exec behind an allowed word": "gather uptime exec:ok touch",
}
CARRIERS = {
    "broadcast": "broadcast exec:ok touch",
    "gather": "gather exec:ok touch",
    "gather with an option": "gather --timeout 5 exec:ok touch",
    "gather with an option of one word": "gather --timeout=5 exec:ok touch",
    "gather in batches": "gather --batch 1 exec:ok touch",
    "gather for all": "gather @all exec:ok touch",
    "gather for a node": "gather east1 exec:ok touch",
    "gather behind --": "gather -- exec:ok touch",
    "gather for a node behind --": "gather east1 -- exec:ok touch",
    "gather of the allowed with an option": "gather --timeout 1 uptime",
    "unicast": "unicast east1 exec:ok touch",
    "subcluster broadcast": "subcluster broadcast default exec:ok touch",
    "xml inside": "gather xml exec:ok touch",
    "json inside": "gather json exec:ok touch",
    "quoted inside": 'gather "exec:ok touch"',
    "quoted in part inside": 'gather exec:o"k" touch',
    "quoted twice inside": "gather '\"exec:ok touch\"'",
    "sched in": "sched in 1 exec:ok touch",
    "sched at": "sched at 2099-01-01T00:00 exec:ok touch",
    "sched in the allowed": "sched in 1 gather uptime",
    "sched every broadcast": "sched every 1 broadcast exec:ok touch",
    "broadcast sched in": "broadcast sched in 1 exec:ok touch",
    "gather sched in": "gather sched in 1 exec:ok touch",
    "broadcast ecelerity": "broadcast ecelerity exec:ok touch",
    "broadcast of a bridge": "broadcast bridge:x exec:ok touch",
    "broadcast broadcast": "broadcast broadcast exec:ok touch",
    "gather gather": "gather gather exec:ok touch",
    "own module": "exec:ok touch",
    "long command": "gather exec:ok nap",
    "five levels": "gather gather gather gather gather uptime",
}
OTHERS = (
    "pid",
    "broadcast pid",
    "gather pid",
    "gather east1 pid",
    "unicast east1 pid",
    "broadcast version",
    "version",
    "uptime",
    "info",
    "help",
    "help gather",
    "gather help",
    "complete ''",
    'complete "config get "',
    "complete 'gather '",
    "config get cluster",
    "config show",
    "config begin",
    "config reload /etc/shadow",
    "config writeback /etc/passwd --force",
    "history",
    "preview @all",
    "flush control cache",
    "abort 0123456789AB",
    "forget east1",
    "retrieve_node east1 uptime",
    "subcluster retrieve default uptime",
    "authz id",
    "authz roles list",
    "module list",
    "reopen logs",
    "sched list",
    "nonsense",
    "exec:x run",
    "gather uptime now",
    "config set Authorization Role root allow ('.*')",
)


def is_refused(answer: str) -> bool:
    return NOT_AUTHORIZED in answer or any(fault in answer for fault in NO_FORM)


@pytest.fixture
def counted(guarded: Guarded) -> "Counted":
    return Counted(guarded)


class Counted:
    """Gives a line to the limited listener, and checks that it is refused, counted, and has no effect."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded = guarded

    def refuses(self, line: str) -> None:
        before, sent = self._guarded.refusals(), self._guarded.audited()
        answer = self._guarded.ask(line)
        assert is_refused(answer), answer[:200]
        assert self._guarded.refusals() == before + 1
        assert self._guarded.audited() == sent
        self._guarded.check_alive()


@pytest.mark.parametrize("line", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_no_spelling_passes(counted: Counted, line: str) -> None:
    counted.refuses(line)


@pytest.mark.parametrize("line", CARRIERS.values(), ids=CARRIERS.keys())
def test_no_carrier_passes(counted: Counted, line: str) -> None:
    counted.refuses(line)


@pytest.mark.parametrize("line", OTHERS)
def test_no_other_command_passes(counted: Counted, line: str) -> None:
    counted.refuses(line)


@pytest.mark.parametrize("line", ["gather uptime", 'GATHER  "uptime"', "retrieve uptime", "xml gather uptime"])
def test_what_a_role_allows_runs(guarded: Guarded, line: str) -> None:
    guarded.administer("gather uptime")
    answer = guarded.ask(line)
    assert "east1" in answer
    assert "up " in answer


@pytest.mark.asyncio
class TestFrames:
    @pytest.mark.parametrize("form", ["text", "json", "xml"])
    @pytest.mark.parametrize("line", ["shutdown", "gather shutdown", "pid"])
    async def test_request_is_refused_in_its_form(self, guarded: Guarded, form: str, line: str) -> None:
        async with await Client.open(guarded.limited) as client:
            client.request(line, id=7, format=form)
            result = await client.fields(frames.RESULT)
        assert (result["status"], result["exit"]) == ("denied", 5)
        assert NOT_AUTHORIZED in json.dumps(result)
        guarded.check_alive()

    @pytest.mark.parametrize("line", ["shutdown", "pid", "version"])
    async def test_long_frame_and_pipelined_frames_are_refused(self, guarded: Guarded, line: str) -> None:
        long = frames.LONG.to_bytes(2) + len(line).to_bytes(4) + line.encode()
        async with await Client.open(guarded.limited) as client:
            client.send_raw(long + frames.encode_text(line) + frames.encode_text("retrieve nothing") + long)
            answers = [await client.answer() for _ in range(4)]
        assert [answers[0], answers[1], answers[3]] == [NOT_AUTHORIZED] * 3
        guarded.check_alive()

    async def test_stream_of_a_refused_command_has_no_events(self, guarded: Guarded) -> None:
        async with await Client.open(guarded.limited) as client:
            client.request("gather exec:ok touch", id=1, stream=True)
            result = await client.fields(frames.RESULT)
        assert result["status"] == "denied"


def test_open_listener_still_runs_everything(guarded: Guarded) -> None:
    assert guarded.administer("pid").isdigit()
    assert ask_sync(guarded.node.endpoint, "pid").isdigit()
