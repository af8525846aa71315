"""logs_append, logs_lease, logs_commit, logs_stall, logs_rewind, logs_release,
logs_forget: the pipe of a log."""

import pytest

from eccmgr.logs.collection.pipe import calls
from eccmgr.logs.collection.pipe.calls import (
    Appended,
    AppendVerdict,
    CommitVerdict,
    ForgottenVerdict,
    LogLease,
    PipeKeys,
)
from eccmgr.logs.collection.places import FileIdentity, LogPlace, digest
from eccmgr.logs.collection.records import Packer, Record, unpacked
from tests.integration.scripts.cluster import Cluster, Life

FILE = FileIdentity(1, 2, 0, digest(b""))


def place(offset: int) -> LogPlace:
    return LogPlace(7, FILE, offset, digest(b""))


def record(begin: int, data: bytes) -> Record:
    return Record(place(begin), place(begin + len(data)), 1000, data)


class Pipe:
    """The pipe of one log, with a node that writes it and a manager that reads it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.keys = PipeKeys.of(cluster.keys, "east1", "mainlog")

    def append(
        self, *records: Record, tail: str = "", most: int = 1 << 20, subscribers: tuple[str, ...] = ("master",)
    ) -> Appended:
        words = [word for each in records for word in Packer().words(each)]
        call = calls.append(
            *(self.keys, self.cluster.options), tail=tail, most=most, subscribers=subscribers, says="[]", words=words
        )
        return self.cluster.run(call)

    def lease(self, manager: Life, subscriber: str = "master") -> LogLease | None:
        return self.cluster.run(calls.take_lease(self.keys, self.cluster.options, subscriber, manager.private)).lease

    def taken(self, manager: Life, subscriber: str = "master") -> LogLease:
        """The lease, which is free."""
        lease = self.lease(manager, subscriber)
        assert lease is not None
        return lease

    def commit(self, lease: LogLease, has: int, checkpoint: str = "{}") -> CommitVerdict:
        return self.cluster.run(calls.commit(self.keys, self.cluster.options, lease, checkpoint, has))

    def entries(self) -> list[tuple[int, Record]]:
        found = self.cluster.redis.xrange(self.keys.pipe)
        return [(int(entry.partition(b"-")[0]), unpacked(fields)) for entry, fields in found]  # type: ignore[union-attr]


@pytest.fixture
def pipe(cluster: Cluster) -> Pipe:
    return Pipe(cluster)


@pytest.fixture
def barca(cluster: Cluster) -> Life:
    return cluster.join("barca", rank="manager")


@pytest.fixture
def roma(cluster: Cluster) -> Life:
    return cluster.join("roma", rank="manager")


def test_records_follow_each_other_within_the_bound(pipe: Pipe) -> None:
    records = [record(10 * number, b"123456789\n") for number in range(5)]
    appended = pipe.append(*records, most=600)
    assert (appended.verdict, appended.added) == (AppendVerdict.KEPT, 2)
    assert [each for _, each in pipe.entries()] == records[:2]
    assert pipe.append(*records[2:], tail=place(20).dump(), most=600).added == 0
    moved = pipe.append(records[0])
    assert (moved.verdict, moved.tail) == (AppendVerdict.MOVED, place(20).dump().encode())
    assert len(pipe.entries()) == 2


def test_pipe_takes_more_as_it_is_read(pipe: Pipe, barca: Life) -> None:
    pipe.append(record(0, b"a\n"), record(2, b"b\n"))
    lease = pipe.taken(barca)
    (first, _), _ = pipe.entries()
    assert pipe.commit(lease, first) is CommitVerdict.KEPT
    assert [each.data for _, each in pipe.entries()] == [b"b\n"]


def test_one_manager_has_the_lease(cluster: Cluster, pipe: Pipe, barca: Life, roma: Life) -> None:
    lease = pipe.taken(barca)
    assert pipe.lease(barca) == lease
    assert pipe.lease(roma) is None
    cluster.leave(barca)
    later = pipe.taken(roma)
    assert later.epoch > lease.epoch
    assert pipe.commit(lease, 0) is CommitVerdict.FENCED
    assert cluster.run(calls.rewind(pipe.keys, lease, place(0), 1000)) is CommitVerdict.FENCED
    assert cluster.run(calls.release(pipe.keys, lease)) is CommitVerdict.FENCED
    assert pipe.commit(later, 0, "kept") is CommitVerdict.KEPT
    assert cluster.run(calls.take_lease(pipe.keys, cluster.options, "master", roma.private)).checkpoint == b"kept"


def test_released_lease_is_taken_at_once(cluster: Cluster, pipe: Pipe, barca: Life, roma: Life) -> None:
    lease = pipe.taken(barca)
    assert cluster.run(calls.release(pipe.keys, lease)) is CommitVerdict.RELEASED
    later = pipe.taken(roma)
    assert later.epoch > lease.epoch


def test_subscriber_without_manager_holds_nobody_up(cluster: Cluster, pipe: Pipe, barca: Life, roma: Life) -> None:
    both = ("master", "roma")
    pipe.append(record(0, b"a\n"), subscribers=both)
    master = pipe.taken(barca)
    pipe.taken(roma, "roma")
    ((sent, _),) = pipe.entries()
    pipe.commit(master, sent)
    assert len(pipe.entries()) == 1
    cluster.leave(roma)
    pipe.append(tail=place(2).dump(), subscribers=both)
    assert pipe.entries() == []


def test_subscriber_that_cannot_write_holds_nobody_up(cluster: Cluster, pipe: Pipe, barca: Life, roma: Life) -> None:
    pipe.append(record(0, b"a\n"), subscribers=("master", "roma"))
    master, other = pipe.taken(barca), pipe.taken(roma, "roma")
    ((sent, _),) = pipe.entries()
    pipe.commit(master, sent)
    assert len(pipe.entries()) == 1
    assert cluster.run(calls.stall(pipe.keys, cluster.options, other)) is CommitVerdict.STALLED
    assert pipe.entries() == []
    # It counts again once it has written something.
    pipe.append(record(2, b"b\n"), tail=place(2).dump(), subscribers=("master", "roma"))
    pipe.commit(other, sent)
    pipe.commit(master, pipe.entries()[0][0])
    assert len(pipe.entries()) == 1
    pipe.lease(barca, "roma")
    cluster.leave(roma)
    assert (
        cluster.run(calls.stall(pipe.keys, cluster.options, LogLease("roma", roma.private, 1))) is CommitVerdict.FENCED
    )


def test_rewound_pipe_ends_where_it_was_asked_to(cluster: Cluster, pipe: Pipe, barca: Life) -> None:
    pipe.append(record(0, b"a\n"), record(2, b"b\n"))
    lease = pipe.taken(barca)
    (_, (last, _)) = pipe.entries()
    assert cluster.run(calls.rewind(pipe.keys, lease, place(2), 1000)) is CommitVerdict.REWOUND
    assert pipe.entries() == []
    moved = pipe.append(record(4, b"c\n"), tail=place(4).dump())
    assert (moved.tail, moved.since_ms) == (place(2).dump().encode(), 1000)
    assert pipe.append(record(2, b"b\n"), tail=place(2).dump()).added == 1
    assert pipe.entries()[0][0] > last
    # The time belongs to the place for which a manager asked, not to a later one.
    assert pipe.append(tail=place(2).dump()).since_ms == 0


@pytest.mark.parametrize("junk", ["", "junk", "-1", "1e9", "inf", "9" * 400])
def test_junk_is_no_time_of_a_place(cluster: Cluster, pipe: Pipe, junk: str) -> None:
    pipe.append(record(0, b"a\n"))
    cluster.redis.hset(pipe.keys.state, "since", junk)
    assert pipe.append(tail=place(0).dump()).since_ms == 0


def test_pipe_whose_state_was_lost_begins_anew(cluster: Cluster, pipe: Pipe) -> None:
    pipe.append(record(0, b"a\n" * 500))
    cluster.redis.delete(pipe.keys.state)
    assert pipe.append(record(1000, b"b\n")).added == 1
    assert [each.data for _, each in pipe.entries()] == [b"b\n"]


def test_forgotten_subscriber_leaves_nothing(cluster: Cluster, pipe: Pipe, barca: Life) -> None:
    lease = pipe.taken(barca)
    assert cluster.run(calls.forget(pipe.keys, "master")) is ForgottenVerdict.FORGOTTEN
    assert cluster.run(calls.forget(pipe.keys, "master")) is ForgottenVerdict.UNKNOWN
    assert pipe.commit(lease, 0) is CommitVerdict.FENCED


def test_lost_bytes_are_added_up(cluster: Cluster, pipe: Pipe) -> None:
    step = Record(place(0), LogPlace(8, FILE, 0, digest(b"")), 1, lost=77)
    pipe.append(step)
    assert cluster.redis.hget(pipe.keys.state, "lost") == b"77"
