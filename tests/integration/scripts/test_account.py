"""account: the lines of a daemon's account, in the audit of the cluster."""

from eccmgr.cluster.calls import accounts
from eccmgr.cluster.calls.accounts import AccountVerdict
from eccmgr.cluster.options import ClusterOptions
from tests.integration.scripts.cluster import Cluster


def test_lines_keep_their_order_within_the_cap(cluster: Cluster) -> None:
    lines = {f"7@Z@@@tom@1@say {number}": 1 + number % 2 for number in range(400)}
    assert cluster.run(accounts.account(cluster.keys, ClusterOptions(), "ecnode east1", lines)) is AccountVerdict.KEPT
    found = [entry for _, entry in cluster.redis.xrange(cluster.keys.audit)]  # type: ignore[misc]
    assert [(entry[b"line"].decode(), int(entry[b"times"])) for entry in found] == list(lines.items())
    assert {(entry[b"what"], entry[b"by"]) for entry in found} == {(b"account", b"ecnode east1")}
    assert cluster.redis.pttl(cluster.keys.audit) > 0
    bounded = ClusterOptions(audit_cap=10)
    cluster.run(accounts.account(cluster.keys, bounded, "ecnode east1", lines))
    assert cluster.redis.xlen(cluster.keys.audit) < 300
