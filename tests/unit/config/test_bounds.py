"""Cases that broke earlier systems of this kind: strange files, changes at run time, reloads, many callers at once."""

import asyncio
import gc
import weakref
from collections import defaultdict
from pathlib import Path

import pytest

from eccmgr.commands.answer import Status
from eccmgr.commands.caller import Caller
from eccmgr.commands.config import commands
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.config.live.parts import NOTHING, Prepared
from eccmgr.config.live.store import (
    MAX_OPEN,
    MAX_OPEN_OF_USER,
    MAX_TYPED,
    MAX_TYPED_BYTES,
    Proposal,
    Store,
)
from eccmgr.config.live.transaction import ConfigSession, Typed
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import masked_text
from eccmgr.config.syntax.changes import Action, Change
from eccmgr.config.syntax.faults import FaultyConfigError
from eccmgr.config.syntax.tree import Step
from eccmgr.config.syntax.values import Text
from eccmgr.errors import CommandError
from tests.unit.config.console import Console, Opened, write
from tests.unit.config.memory import MemoryFiles

STRANGE = [
    "a:b",
    'a"b',
    "a\\",
    "a\\\\b",
    "{ }",
    "# no",
    "/* no */",
    "é€\U0001f600",
    "",
    "include",
    "a=b",
    "'",
    "(x",
]


@pytest.mark.parametrize("name", STRANGE)
def test_special_characters_in_scope_names_are_escaped(tmp_path: Path, name: str) -> None:
    console = Console(Store.open(str(write(tmp_path, {"a.conf": 'Local_Changes_File = "l.conf"'}))))
    typed = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    answer = console.ok(f"config set foo {typed} x = 1")
    console.ok("config writeback")
    assert console.ok("config reload") == "Reconfigured"
    assert console.ok(f"config get foo {typed} x") == answer
    assert [scope.name for scope in console.store.live.of_kind("foo")] == [name]


@pytest.mark.parametrize(
    "data",
    [
        b"x = 1",
        b"foo { x = 1 }",
        b"foo {}",
        b"foo { }",
        b"# end",
        b"/* end */",
        b"",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"x = ()",
        b"x = []",
    ],
)
def test_missing_last_newline_and_empty_stanza_are_accepted(tmp_path: Path, data: bytes) -> None:
    console = Console(Store.open(str(write(tmp_path, {"a.conf": data}))))
    console.ok("config showrecurse")
    console.ok("config set y = 2")
    console.ok("config writeback")
    assert console.ok("config reload") == "Reconfigured"
    assert console.ok("config get y") == "y = 2"


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\x7fELF\x02\x01", b"x = 1\x00", b"\xff\xfe", "x = 1".encode("utf-16")]
)
def test_a_binary_file_is_refused_with_its_place(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path, {"a.conf": data})
    with pytest.raises(FaultyConfigError, match=r"a\.conf:\d:\d+: .*binary file"):
        Store.open(str(path))


def test_list_set_at_run_time_stays_a_list(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": 'Datasource "a" { uri = ( "x" ) }\n'})
    assert console.ok('config set Datasource a uri ( "y:z" )') == 'uri = ( "y:z" )'
    assert console.store.view().scope("Datasource", "a").items("uri") == ("y:z",)
    console.ok("config set Datasource a uri x")
    console.ok("config writeback")
    assert (tmp_path / "a.conf").read_text() == 'Datasource "a" { uri = "x" }\n'


def test_unsetting_an_unset_option_is_an_answer(manager: Console) -> None:
    manager.ok("config begin from scratch")
    manager.refused("config unset Datasource ecdb")
    manager.refused("config unset blackhole")
    assert manager.ok("config commit").startswith("Committed")


def test_reload_frees_the_old_tree_and_files(console_on: Opened) -> None:
    console = console_on({"a.conf": "x = 1\ninclude b.conf", "b.conf": "foo { y = 2 }"})
    console.ok("config set z = 1")
    old = [weakref.ref(document) for document in console.store.loaded.documents.values()]
    console.ok("config reload")
    gc.collect()
    assert [reference() for reference in old] == [None, None]


def test_comments_and_blank_lines_survive_a_save(console_on: Opened, tmp_path: Path) -> None:
    text = "# one\n\n\nfoo { # two\n  x = 1 /* three */ # four\n\n  # five\n}\n# six"
    console = console_on({"a.conf": text})
    console.ok("config set foo x = 2")
    console.ok("config set foo y = 3")
    console.ok("config writeback")
    assert (tmp_path / "a.conf").read_text() == (
        "# one\n\n\nfoo { # two\n  x = 2 /* three */ # four\n  y = 3\n\n  # five\n}\n# six"
    )


@pytest.mark.asyncio
async def test_a_transaction_is_bounded() -> None:
    store = Store.open(None)
    session = ConfigSession()
    store.begin(session)
    change = Change(Action.SET, (), "x", Text("1"))
    for _ in range(MAX_TYPED):
        await store.change(session, "u", change, Typed("", ""))
    with pytest.raises(CommandError, match="at most"):
        await store.change(session, "u", change, Typed("", ""))


@pytest.mark.asyncio
async def test_a_transaction_is_bounded_in_bytes() -> None:
    store, session = Store.open(None), ConfigSession()
    store.begin(session)
    change, typed = Change(Action.SET, (), "x", Text("1")), Typed("x" * 60_000, "")
    for _ in range(MAX_TYPED_BYTES // 60_000):
        await store.change(session, "u", change, typed)
    with pytest.raises(CommandError, match=f"at most {MAX_TYPED_BYTES} bytes"):
        await store.change(session, "u", change, typed)
    assert store.rollback(session) == MAX_TYPED_BYTES // 60_000


def test_open_transactions_are_bounded_by_user() -> None:
    store = Store.open(None)
    sessions = [ConfigSession() for _ in range(MAX_OPEN)]
    for number, session in enumerate(sessions):
        store.begin(session, f"user{number // MAX_OPEN_OF_USER}")
    with pytest.raises(CommandError, match=f"{MAX_OPEN} transactions are open here"):
        store.begin(ConfigSession(), "ann")
    store.abandon(sessions[-1])
    with pytest.raises(CommandError, match=f"user0 has {MAX_OPEN_OF_USER} open transactions"):
        store.begin(ConfigSession(), "user0")
    store.begin(ConfigSession(), "ann")


@pytest.mark.asyncio
async def test_many_callers_at_once_lose_no_change() -> None:
    store = Store("/a", files=MemoryFiles({"/a": b""}))
    store.load()
    proposals: list[str] = []

    async def note(proposal: Proposal) -> Prepared:
        proposals.append(proposal.changes[0].option)
        return NOTHING

    store.on_change = note

    async def work(number: int) -> None:
        session = ConfigSession()
        for each in range(25):
            if each % 5 == 0:
                store.begin(session)
            change = Change(Action.SET, (), f"o{number}_{each}", Text("1"))
            await store.change(session, f"u{number}", change, Typed("", ""))
            if each % 5 == 0:
                await store.commit(session, f"u{number}")
            if each % 10 == 0:
                await store.write_back()

    await asyncio.gather(*map(work, range(4)))
    assert len(store.live.options) == len(proposals) == 100
    await store.write_back()
    assert store.unsaved() == []
    store.load()
    assert len(store.live.options) == 100


@pytest.mark.parametrize("path", ["'a\0b'", "'\ud800'", '""', "/proc/self/mem", "/", "x" * 5000, "/dev/zero"])
def test_a_strange_path_is_an_answer(manager: Console, path: str) -> None:
    live = manager.store.live
    manager.refused(f"config reload {path}")
    manager.refused(f"config writeback {path}")
    assert manager.store.live is live


def test_followers_of_changes_are_not_starved_by_changers() -> None:
    store = Store.open(None)
    sessions: dict[str, ConfigSession] = defaultdict(ConfigSession)
    table = Table()
    table.add(*commands(store, lambda caller: sessions[caller.user]))

    async def run() -> list[Reply]:
        async def follow(_: Proposal) -> Prepared:
            await asyncio.to_thread(int)
            return NOTHING

        store.on_change = follow
        lines = [f"config set o{each} = 1" for each in range(100)]
        return await asyncio.gather(*(reply(Gate(table), line, Caller(line)) for line in lines))

    answers = asyncio.run(run())
    assert {answer.answer.status for answer in answers} == {Status.OK}
    assert len(store.live.options) == 100


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000 + "#",
        "a" + " " * 200_000 + "#",
        "://a:" * 40_000,
        "password=" * 20_000,
        "password" * 20_000 + " =",
        "/*" * 100_000,
        '"' * 100_001,
    ],
    ids=lambda text: text[:6],
)
def test_hiding_secrets_in_a_hostile_text_ends(text: str) -> None:
    assert masked_text("f", text, SCHEMA)


def test_secrets_in_comments_and_broken_text_are_hidden() -> None:
    for text in (
        '# Password = "s3cret"\nx = 1',
        "Password = s3cret }",
        'uri = ( "x:password=s3cret;y" ',
        "# redis://u:s3cret@h",
    ):
        hidden = masked_text("f", text, SCHEMA)
        assert "s3cret" not in hidden
        assert "********" in hidden


@pytest.mark.parametrize(
    "text",
    [
        *("(" * 200_000, "{" * 200_000, '"' * 200_001, "/" * 200_000, "=" * 200_000, "/*" * 100_000, "a{" * 100_000),
        *("[=" * 100_000, "'a" * 100_000, "a\\" * 100_000, "a = " * 100_000, "include " * 50_000, "a = ( " * 50_000),
    ],
    ids=lambda text: text[:6],
)
def test_hostile_file_costs_linear_time(text: str) -> None:
    store = Store("/a", files=MemoryFiles({"/a": text.encode()}))
    with pytest.raises(FaultyConfigError) as caught:
        store.load()
    assert 1 <= len(caught.value.faults) <= 101


def test_thousands_of_changes_are_written_back() -> None:
    count = 3000
    text = "".join(f'b "{each}" {{ x = 1 }}\n' for each in range(count))
    store = Store("/a", files=MemoryFiles({"/a": text.encode()}))
    store.load()
    console = Console(store)
    store.begin(console.session)
    for each in range(count):
        change = Change(Action.SET, (Step("b", str(each)),), "x", Text("2"))
        asyncio.run(store.change(console.session, "u", change, Typed("", "")))
    assert console.ok("config commit") == f"Committed {count} changes"
    assert console.ok("config writeback") == f"Wrote {count} changes to /a"
    assert store.files.read("/a").decode() == text.replace("x = 1", "x = 2")
