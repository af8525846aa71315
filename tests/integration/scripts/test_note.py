"""note: single entries of the audit; and the entries that scripts make about members."""

from eccmgr.cluster.calls.accounts import note
from eccmgr.cluster.options import ClusterOptions
from tests.integration.scripts.cluster import Cluster


def test_entry_has_its_fields_within_the_cap(cluster: Cluster) -> None:
    bounded = ClusterOptions(audit_cap=10)
    for number in range(300):
        cluster.run(note(cluster.keys, bounded, "schedule", {"id": str(number), "text": ""}))
    entries = cluster.audited(b"schedule")
    assert entries[-1] == {b"what": b"schedule", b"id": b"299", b"text": b""}
    assert len(entries) < 300
    assert cluster.redis.pttl(cluster.keys.audit) > 0


def test_audit_has_each_change_of_the_members(cluster: Cluster) -> None:
    cluster.join("barca", rank="manager")
    east1 = cluster.join("east1", "East")
    cluster.resettle(east1, "west")
    cluster.leave(east1)
    cluster.join("east2")
    cluster.pass_time(cluster.lease_ms)
    cluster.sweep()
    cluster.join("east2")
    changes = [(entry[b"change"], entry[b"members"].rpartition(b"#")[2]) for entry in cluster.audited(b"member")]
    assert changes[:4] == [(b"join", b"barca"), (b"join", b"east1"), (b"moved", b"east1"), (b"leave", b"east1")]
    assert changes[4] == (b"join", b"east2")
    assert changes[5][0] == b"lost"
    assert cluster.audited(b"member")[5][b"members"].count(b"#") == 4
    returned = cluster.audited(b"member")[-1]
    assert (returned[b"change"], returned[b"since"].isdigit()) == (b"join", True)


def test_forgotten_nodes_are_in_the_audit(cluster: Cluster) -> None:
    cluster.join("east1")
    cluster.pass_time(cluster.lease_ms)
    cluster.sweep()
    cluster.pass_time(cluster.absent_ttl_ms)
    cluster.sweep()
    last = cluster.audited(b"member")[-1]
    assert (last[b"change"], last[b"members"]) == (b"forgotten", b"east1")
