"""A line of the account is read back into its fields, whatever they hold; what happens is never delayed by a disk."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.accounts import REFUSED_MAX, AccountLine, gap
from eccmgr.channels import Channel
from eccmgr.cluster.options import ClusterOptions
from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.gate import Admission, Authentication, Judged
from eccmgr.config.files.load import load_text
from eccmgr.config.live.effective import Overrides, ScopeView
from eccmgr.config.live.options import Sync
from eccmgr.config.schema.known import SCHEMA
from eccmgr.logs.accounting import Accounting
from eccmgr.logs.files import LogFiles
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_FIELD = re.compile(r"(?:[^@\\]|\\.)*")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


def fields_of(line: str) -> list[str]:
    """The fields of a line, as a reader that knows the documentation takes them apart."""
    fields, offset = [], 0
    while offset <= len(line):
        found = _FIELD.match(line, offset)
        assert found is not None
        fields.append(_ESCAPE.sub(_unescaped, found[0]))
        assert found.end() == len(line) or line[found.end()] == "@"
        offset = found.end() + 1
    return fields


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _LETTERS.get(code, code)


TEXT = st.text(max_size=30) | st.sampled_from(("@", "\\", "\\@", "\\\\n", "\n", "\x1b[2J", "\u2028", "a@b\\"))


@given(TEXT, TEXT, TEXT, TEXT, TEXT.filter(bool), st.sampled_from(Admission))
def test_a_line_is_read_back(listener: str, peer: str, user: str, command: str, role: str, verdict: Admission) -> None:
    line = AccountLine("Z", listener, peer, user, verdict.value, command, role).at(7.9)
    assert fields_of(line) == ["7", "Z", listener, peer, user, str(verdict.value), command, role]
    assert line.isprintable() or not any(character < " " for character in line)
    assert line.splitlines() == [line]


def test_lines_have_the_fields_of_the_format() -> None:
    assert AccountLine("N", "/tmp/2025", "pid 3", "tom", 1).at(7.9) == "7@N@/tmp/2025@pid 3@tom@1"
    assert AccountLine("T", "[::1]:2025", "::1", "anonymous", 0).at(7.9) == "7@T@[::1]:2025@::1@anonymous@0"
    assert AccountLine("Z", "l", "p", "tom@x", -1, "say a\\b").at(7.9) == r"7@Z@l@p@tom\@x@-1@say a\\b"
    assert gap(7, 3, "No space left on device") == "7@D@3@No space left on device"


async def account_files(folder: Path, text: str) -> LogFiles:
    files = LogFiles("eccmgr")
    view = ScopeView(load_text(text.format(folder=folder)).root, (), Overrides(), SCHEMA)
    await (await files.prepare(view, ())).carry_out()
    return files


def unreachable(folder: Path) -> Link:
    return Link(f"unix://{folder}/no-redis")


def accounting(files: LogFiles, folder: Path, most: int = 100) -> Accounting:
    return Accounting(files, unreachable(folder), Keys("c"), ClusterOptions(), "eccmgr barca", lambda: 7.0, most)


async def kept(part: Accounting) -> None:
    """Let the part write all that it has noted."""
    async with asyncio.TaskGroup() as tasks:
        spawned: list[asyncio.Task[None]] = []
        await part.start(lambda work, name: spawned.append(tasks.create_task(work, name=name)))
        await part.close()
        for task in spawned:
            task.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("sync", Sync)
async def test_everything_noted_is_in_the_file(folder: Path, sync: Sync) -> None:
    files = await account_files(folder, f'ec_logger {{{{ acctlog = "{{folder}}/acct"  acctlog_sync = {sync} }}}}')
    part, tom = accounting(files, folder), Caller("tom", listener="l", peer="p")
    part.signed_in(tom, Authentication.SUCCEEDED)
    part.signed_in(tom, Authentication.FAILED)
    part.signed_in(tom, Authentication.TIMED_OUT)
    part.judged(Judged(tom, "pid", Admission.ALLOWED, "ops"))
    part.judged(Judged(tom, "shutdown", Admission.REFUSED))
    part.judged(Judged(Caller("tom", Origin.SCHEDULE), "config set a_password hush", Admission.UNASKED))
    await kept(part)
    await files.close()
    assert (folder / "acct").read_text().splitlines() == [
        "7@N@l@p@tom@1",
        "7@N@l@p@tom@0",
        "7@T@l@p@tom@0",
        "7@Z@l@p@tom@1@pid@ops",
        "7@Z@l@p@tom@0@shutdown",
        "7@Z@schedule@@tom@-1@config set a_password ********",
    ]


@pytest.mark.asyncio
async def test_a_refused_line_is_masked_before_cut(folder: Path) -> None:
    files = await account_files(folder, 'ec_logger {{ acctlog = "{folder}/acct" }}')
    part = accounting(files, folder)
    filler = "x" * (REFUSED_MAX - 40)
    part.judged(Judged(Caller("tom"), f"say {filler} '--password' hush-hush-hush-hush 'open", Admission.REFUSED))
    await kept(part)
    await files.close()
    (line,) = (folder / "acct").read_text().splitlines()
    assert "hush" not in line
    assert len(line) < REFUSED_MAX + 60


@pytest.mark.asyncio
async def test_dropped_lines_leave_a_marked_gap(folder: Path) -> None:
    files = await account_files(folder, 'ec_logger {{ acctlog = "{folder}/acct" }}')
    part = accounting(files, folder, most=10)
    for _ in range(13):
        part.judged(Judged(Caller("tom"), "pid", Admission.UNASKED))
    await kept(part)
    await files.close()
    lines = (folder / "acct").read_text().splitlines()
    assert len(lines) == 11
    assert [line for line in lines if "@D@" in line] == ["7@D@3@more than could be written"]
    assert any("3 lines are missing in acctlog" in remark for remark in part.remarks())


@pytest.mark.asyncio
async def test_a_full_disk_ends_nothing(folder: Path) -> None:
    files = await account_files(folder, 'ec_logger {{ acctlog = "/dev/full" }}')
    part = accounting(files, folder)
    for _ in range(3):
        part.judged(Judged(Caller("tom"), "pid", Admission.UNASKED))
    await kept(part)
    assert "3 lines were dropped at /dev/full" in "".join(files.remarks())
    await files.close()


@pytest.mark.asyncio
async def test_a_reopened_account_is_a_new_file(folder: Path) -> None:
    files = await account_files(folder, 'ec_logger {{ acctlog = "{folder}/acct" mainlog = "{folder}/main" }}')
    files.account("one\n")
    (folder / "acct").rename(folder / "acct.1")
    files.reopen()
    files.account("two\n")
    files(None, "", {"level": "info", "event": "no account", "channel": Channel.MAIN})
    await files.close()
    assert ((folder / "acct.1").read_text(), (folder / "acct").read_text()) == ("one\n", "two\n")


@pytest.mark.asyncio
async def test_the_strictest_sync_holds_for_all_files(folder: Path) -> None:
    files = await account_files(
        folder,
        'ec_logger "a" {{ acctlog = "{folder}/a" acctlog_sync = never }}\n'
        'ec_logger "b" {{ acctlog = "{folder}/b" acctlog_sync = Always }}\n'
        'ec_logger "c" {{ mainlog = "{folder}/c" }}',
    )
    assert (files.sync, files.force()) == (Sync.ALWAYS, "")
    await files.close()
    assert (await account_files(folder, 'ec_logger "c" {{ mainlog = "{folder}/c" }}')).sync is None
