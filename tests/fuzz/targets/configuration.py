"""Files of a site: the configuration, bus files, group files."""

from eccmgr.config.files.busfile import read_mbus, read_msgc_server
from eccmgr.config.files.groupfile import read_groups
from eccmgr.config.files.load import Loaded, load
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import cluster_options
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import masked_text
from eccmgr.config.schema.printing import show_recurse
from eccmgr.config.syntax.parse import parse_bytes
from eccmgr.config.syntax.tree import same
from tests.fuzz.target import fuzzed, text_of
from tests.unit.config.memory import MemoryFiles

_WORDS = (
    *(b"Control_Listener", b'Listen "/tmp/2025"', b"cluster {", b"}", b"Datasource", b"uri", b"= ", b"( a, b )"),
    *(b"[ k = v ]", b'include "b"', b"#", b"/*", b"*/", b'"', b'\\"', b"Binding", b"\\", b"\r", b"heartbeats_per_sec"),
)


@fuzzed(words=_WORDS)
def configuration(data: bytes) -> None:
    """A document keeps a file's bytes. If a file has no fault, its printed form reads back to the same tree."""
    document, faults = parse_bytes("f", data)
    assert document.data == data
    for fault in faults:
        assert fault.line >= 1
        assert fault.column >= 1
        assert fault.expected
    masked_text("f", text_of(data), SCHEMA)
    loaded = _loaded(data)
    if not loaded.faults:
        printed = show_recurse(loaded.root, SCHEMA, reveal=True)
        again = _loaded(printed.encode())
        assert not again.faults, again.faults
        assert same(loaded.root, again.root)


def _loaded(data: bytes) -> Loaded:
    return load("/a", MemoryFiles({"/a": data, "/b": b"x = 1\n"}))


@fuzzed(words=_WORDS)
def cluster_section(data: bytes) -> None:
    """The options of a cluster are read, or refused in words."""
    loaded = _loaded(b"cluster {\n" + data + b"\n}\n")
    loaded.check()
    cluster_options(ScopeView(loaded.root))


@fuzzed(words=(b"# Subcluster: ", b" = ", b"=>", b"Spread_Segment ", b"10.1.1.255:4803 {", b"}", b"east1 10.1.1.1"))
def bus_file(data: bytes) -> None:
    """A bus file."""
    read_mbus("f", data)


@fuzzed(words=(b"msgc_server {", b"peers = [", b'node1 = "addr"', b"]", b"}"))
def peers_file(data: bytes) -> None:
    """A file with the peers of a message server."""
    read_msgc_server("f", data)


@fuzzed(words=(b"admin:", b":x:", b"tom,ann", b"\n", b"unix:tom", b"#"))
def group_file(data: bytes) -> None:
    """A file with groups of users."""
    read_groups("f", data)
