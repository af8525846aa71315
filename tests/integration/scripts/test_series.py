"""series_add, series_cut, series_commit: audit series and their windows."""

from eccmgr.series import calls
from eccmgr.series.calls import CountedVerdict, EndedWindow, WrittenVerdict
from eccmgr.series.counts import read_counts
from tests.integration.scripts.cluster import Cluster, Life


class Spam:
    """One series."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.keys = cluster, cluster.keys

    def add(
        self, number: int, node: str = "east1", most: int = 100, sender: str = "s", **counts: int
    ) -> CountedVerdict:
        return self.cluster.run(calls.add(self.keys, sender, number, node, {"spam": counts}, most))

    def cut(self, manager: Life, interval_s: float = 0.001) -> EndedWindow | None:
        return self.cluster.run(calls.cut(self.keys, self.cluster.options, "spam", manager.private, interval_s))

    def ended(self, manager: Life) -> EndedWindow:
        window = None
        while window is None:
            window = self.cut(manager)
        return window

    def commit(self, window: EndedWindow, manager: Life) -> WrittenVerdict:
        return self.cluster.run(calls.commit(self.keys, window, manager.private))

    def totals(self, key: str = "") -> dict[str, int]:
        scored = self.cluster.redis.zrange(key or self.keys.series_counts("spam"), 0, -1, withscores=True)
        return {count.key: count.total for count in read_counts(scored)}  # type: ignore[arg-type]


def test_a_batch_is_added_once(cluster: Cluster) -> None:
    spam = Spam(cluster)
    assert spam.add(1, a=1, b=2) is CountedVerdict.ADDED
    assert spam.add(1, a=1, b=2) is CountedVerdict.AGAIN
    assert spam.add(2, "east2", a=5) is CountedVerdict.ADDED
    assert spam.add(1, "east2", sender="other", a=10) is CountedVerdict.ADDED
    assert spam.totals() == {"a": 16, "b": 2}
    for key in (spam.keys.series, spam.keys.series_counts("spam"), spam.keys.series_batch("s")):
        assert cluster.redis.pttl(key) > 0


def test_smallest_counts_are_merged_into_other(cluster: Cluster) -> None:
    spam = Spam(cluster)
    spam.add(1, most=4, big=100, **{f"small{number}": number for number in range(1, 20)})
    totals = spam.totals()
    assert sum(totals.values()) == 100 + 190
    assert totals["big"] == 100
    assert totals.keys() == {"big", "small19", "small18", "other"}


def test_windows_follow_each_other_and_are_written_once(cluster: Cluster) -> None:
    spam = Spam(cluster)
    barca, milan = cluster.join("barca", rank="manager"), cluster.join("milan", rank="manager")
    spam.add(1, a=1)
    assert spam.cut(barca, 3600) is None
    first = spam.ended(barca)
    spam.add(2, a=10)
    assert spam.cut(milan) is None, "another manager writes it"
    assert (spam.totals(spam.keys.series_closed("spam")), spam.totals()) == ({"a": 1}, {"a": 10})
    assert spam.commit(first, barca) is WrittenVerdict.WRITTEN
    assert spam.commit(first, barca) is WrittenVerdict.WRITTEN
    second = spam.ended(milan)
    assert (second.begin_ms, second.epoch > first.epoch) == (first.end_ms, True)
    assert spam.totals(spam.keys.series_closed("spam")) == {"a": 10}


def test_a_lost_manager_writes_no_window(cluster: Cluster) -> None:
    spam = Spam(cluster)
    barca = cluster.join("barca", rank="manager")
    spam.add(1, a=1)
    first = spam.ended(barca)
    cluster.pass_time(cluster.lease_ms)
    milan = cluster.join("milan", rank="manager")
    again = spam.ended(milan)
    assert (again.begin_ms, again.end_ms) == (first.begin_ms, first.end_ms)
    assert spam.commit(first, barca) is WrittenVerdict.LOST
    assert spam.commit(again, milan) is WrittenVerdict.WRITTEN
    assert spam.commit(first, barca) is WrittenVerdict.LOST
