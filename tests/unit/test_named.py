"""The statements of bus files, as Redis keeps them for all."""

from eccmgr.cluster.named import Named

LINES = {
    b"east": b"3",
    b"-east": b"1",
    b"=early": b"early\ta=",
    b"=node1": b"Node1\tb=West,east\ta=north",
    b"=node2": b"node2\ta=West",
    b"=bad": b"a\nb\ta=x",
    b"@a": b"/etc/a.conf of manager m1\t1000",
    b"@b": b"/etc/b.conf of manager m2\t9000",
    b"@c": b"junk",
}


def test_readable_bus_files_count_and_others_do_not() -> None:
    named = Named.parse(LINES)
    assert {key: node.subclusters for key, node in named.nodes.items()} == {
        "early": (),
        "node1": ("West", "east", "north"),
        "node2": ("West",),
    }
    assert named.read_ms == {"a": 1000, "b": 9000}


def test_node_claiming_another_subcluster_is_a_conflict() -> None:
    claimed = {"node1": "EAST", "node2": "north", "early": "north", "stranger": "north"}
    assert Named.parse(LINES).conflicts(claimed) == [("node2", "north", "West")]


def test_files_that_nobody_reads_any_more_are_stale() -> None:
    assert Named.parse(LINES).stale(5) == ["a"]
    assert Named.parse(LINES).stale(0) == []
    many = Named({}, {f"s{number}": number for number in range(18)})
    assert many.stale(0) == ["s0", "s1"]
