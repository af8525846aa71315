"""Random bytes and command lines against the configuration: nothing crashes, hangs, or stays half done."""

import asyncio
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eccmgr.commands.caller import Caller
from eccmgr.commands.config import commands
from eccmgr.commands.dispatch import reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.config.files.busfile import read_mbus, read_msgc_server
from eccmgr.config.files.disk import Reading
from eccmgr.config.files.groupfile import read_groups
from eccmgr.config.files.load import load
from eccmgr.config.live.store import Store
from eccmgr.config.live.transaction import ConfigSession
from eccmgr.config.schema.completion import candidates
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import masked_text
from eccmgr.config.syntax.faults import FaultyConfigError
from eccmgr.config.syntax.parse import parse_bytes
from eccmgr.errors import ConfigError
from tests.unit.config.console import SAMPLES
from tests.unit.config.memory import MemoryFiles
from tests.unit.config.trees import soup

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1000"))
_samples = [path.read_bytes() for path in sorted(SAMPLES.iterdir())]


@st.composite
def mutated_samples(draw: st.DrawFn) -> bytes:
    """A sample with a few bytes cut out, put in, or repeated."""
    data = bytearray(draw(st.sampled_from(_samples)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        data[start:end] = draw(
            st.one_of(st.binary(max_size=4), soup.map(str.encode), st.just(bytes(data[start:end]) * 2))
        )
    return bytes(data)


files = st.one_of(st.binary(max_size=200), soup.map(str.encode), mutated_samples())


@settings(max_examples=EXAMPLES, deadline=None)
@given(files)
def test_no_bytes_crash_the_parser_or_get_lost(data: bytes) -> None:
    document, faults = parse_bytes("f", data)
    assert document.data == data
    if not faults:
        assert document.text.encode() == data
    for fault in faults:
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.expected


@settings(max_examples=EXAMPLES, deadline=None)
@given(files, files)
def test_no_bytes_crash_loading_or_reloading(good: bytes, bad: bytes) -> None:
    memory = MemoryFiles({"/a": good, "/webui-common.conf": bad, "/ecdb.conf": bad, "/x": bad})
    store = Store("/a", files=memory)
    try:
        store.load()
    except FaultyConfigError:
        return
    live = store.live
    memory.contents["/a"] = bad
    try:
        asyncio.run(store.reload(ConfigSession(), "u"))
    except ConfigError as error:
        assert str(error).startswith("Reconfigure failed\n")  # noqa: PT017
        assert store.live is live


@settings(max_examples=EXAMPLES, deadline=None)
@given(files)
def test_no_bytes_crash_masking_or_other_readers(data: bytes) -> None:
    masked_text("f", data.decode(errors="replace"), SCHEMA)
    for reader in (read_mbus, read_msgc_server, read_groups):
        with_faults: list[str] = []
        try:
            reader("f", data)
        except FaultyConfigError as error:
            with_faults = [fault.file for fault in error.faults]
        assert set(with_faults) <= {"f"}


_WORDS = """
get eval set unset show showrecurse locate begin replay commit rollback reload writeback help from scratch --force
cluster Control_Listener Listen /tmp/2025 Timeout 5 = ( ) [ ] { } a b Binding 'x y' " ' \\ "" x=1 uri Datasource ecdb
.* (a* blackhole on # /* include Local_Changes_File Local_Changes_Only max_running é :
"""
words = st.sampled_from(_WORDS.split())
lines = st.lists(st.lists(words, max_size=7).map(" ".join), min_size=1, max_size=8)


@settings(max_examples=EXAMPLES // 2, deadline=None)
@given(lines)
def test_no_command_line_crashes_and_writing_round_trips(typed: list[str]) -> None:
    memory = MemoryFiles({f"/{path.name}": path.read_bytes() for path in SAMPLES.iterdir()})
    store = Store("/eccluster.conf", files=memory)
    store.load()
    session = ConfigSession()
    table = Table()
    table.add(*commands(store, lambda _: session))

    async def run() -> list[str]:
        return [
            (await reply(Gate(table), f"config {line}", Caller("u"))).body for line in (*typed, "writeback --force")
        ]

    answers = asyncio.run(run())
    assert not any("Internal error" in answer for answer in answers), answers
    for line in typed:
        command, *operands = line.split(" ")
        assert isinstance(candidates(command, operands, store.live), list)
    assert not any("s3cret" in answer or "changeme" in answer for answer in answers)
    again = load("/eccluster.conf", _only_reading(memory))
    assert again.faults == []


def _only_reading(memory: MemoryFiles) -> Reading:
    return memory


@pytest.mark.parametrize("depth", [10, 1000, 100_000])
def test_depth_never_exhausts_the_stack(depth: int) -> None:
    for text in ("a {" * depth, "a {" * depth + "}" * depth, "(" * depth + ")" * depth, "[ a = " * depth):
        _, faults = parse_bytes("f", text.encode())
        assert faults or depth <= 64
