"""Bus files and group files: their content is read, and no bytes crash their readers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.config.files.busfile import BusMap, read_mbus, read_msgc_server
from eccmgr.config.files.groupfile import read_groups
from eccmgr.config.syntax.faults import FaultyConfigError

MBUS = b"""
Spread_Segment 10.0.0.255:4803 { early 10.0.0.1 }
#subcluster:West=mgr
Spread_Segment 10.1.0.255:4803 {
  Node1 10.1.0.1 { D 10.9.0.1 # its other interface
  }
  node2 10.1.0.2
}
Other { x y }
# Subcluster: east => mgr2
Spread_Segment 10.2.0.255:4803 { NODE1 10.2.0.1 }
"""


def test_subcluster_holds_until_the_next_naming_comment() -> None:
    bus = read_mbus("f", MBUS)
    assert [(node.name, node.subcluster, node.manager) for node in bus.nodes] == [
        ("early", None, None),
        ("Node1", "West", "mgr"),
        ("node2", "West", "mgr"),
        ("NODE1", "east", "mgr2"),
    ]


def test_files_with_carriage_returns_alone_say_the_same() -> None:
    assert read_mbus("f", MBUS.replace(b"\n", b"\r")) == read_mbus("f", MBUS)
    assert read_groups("f", b"# note\radmin:alice\rops:bob") == read_groups("f", b"admin:alice\nops:bob")


def test_a_node_of_several_segments_is_one_node() -> None:
    assert read_mbus("f", MBUS).given() == {"early": [], "Node1": ["West", "east"], "node2": ["West"]}


def test_a_manager_among_its_peers_is_no_node() -> None:
    peers = read_msgc_server("f", b"MSGC_Server { Peers = [ pono = 1.1.1.1 early = 1.1.1.2 ] }")
    assert list(peers.given("PONO")) == ["early"]
    assert list((read_mbus("f", MBUS) + peers).given("early")) == ["early", "Node1", "node2", "pono"]


def test_files_add_up() -> None:
    peers = read_msgc_server("f", b"MSGC_Server { Peers = [ node9 = 1.1.1.1 ] }")
    assert list((read_mbus("f", MBUS) + peers).given()) == ["early", "Node1", "node2", "node9"]
    assert BusMap().given() == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Spread_Segment {", "f:1:16: Spread_Segment without an endpoint, expected BROADCAST:PORT"),
        ("Spread_Segment 1.1.1.1:1", "f:1:1: Spread_Segment without nodes, expected '{ NODE ADDRESS … }'"),
        ("Spread_Segment 1.1.1.1:1 { a", "f:1:28: 'a' is not a node with its address, expected NODE ADDRESS"),
        ("Spread_Segment 1.1.1.1:1 { a 1 ", "f:1:26: '{' is never closed, expected a '}' before the end of the file"),
        ("}", "f:1:1: '}' closes nothing, expected a Spread_Segment"),
        ("\n{ {", "f:2:1: '{' is never closed, expected a '}' before the end of the file"),
        ("\x00", "f:1:1: a control character (is this a binary file?), expected text"),
    ],
)
def test_a_broken_bus_file_says_where(text: str, fault: str) -> None:
    with pytest.raises(FaultyConfigError) as caught:
        read_mbus("f", text.encode())
    assert fault in str(caught.value)


@pytest.mark.parametrize("reader", [read_mbus, read_msgc_server, read_groups])
@given(data=st.one_of(st.binary(), st.text(st.sampled_from('{}[]:=#,\n ab"1(')).map(str.encode)))
def test_no_bytes_crash_a_reader(reader: object, data: bytes) -> None:
    assert callable(reader)
    faults: list[str] = []
    try:
        reader("f", data)
    except FaultyConfigError as error:
        faults = [fault.file for fault in error.faults]
    assert set(faults) <= {"f"}


def test_byte_order_mark_is_not_part_of_names() -> None:
    assert read_mbus("f", b"\xef\xbb\xbf" + MBUS) == read_mbus("f", MBUS)
    assert read_groups("f", b"\xef\xbb\xbfadmin:a").roles_of("a") == ["a", "admin"]


def test_groups_of_either_form_merge_with_placed_faults() -> None:
    groups = read_groups("f", b"\r\n# note\nadmin:a, b ,\n admin : x : c\nempty:\nold:x:12:d\n")
    assert groups.users["admin"] == ("a", "b", "c")
    assert groups.users["empty"] == ()
    assert groups.roles_of("d") == ["d", "old"]
    with pytest.raises(FaultyConfigError) as caught:
        read_groups("f", b"ok:a\n  nonsense\n:a\na:b:c:d:e\n")
    assert [(fault.line, fault.column) for fault in caught.value.faults] == [(2, 3), (3, 1), (4, 1)]
