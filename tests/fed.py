"""A listener that feeds what a test wants: it answers each `feed` request with the test's own events."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eccmgr.control import frames

Items = Iterable[Mapping[str, Any]]
NOW = datetime.now(UTC)


def ago(seconds: float) -> str:
    """A time of the feed."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def change(topic: str, items: Items, gone: Iterable[str] = (), *, full: bool = False) -> dict[str, Any]:
    """An event of the feed."""
    fields = {"event": "feed", "topic": topic, "serial": 1, "at": ago(0), "full": full}
    return {**fields, "items": list(items), "gone": list(gone)}


def member(name: str, subcluster: str, state: str = "live", **more: Any) -> dict[str, Any]:
    """A node as the feed tells it."""
    known = {"name": name, "subcluster": subcluster, "state": state, "since": None, "version": "1.0.0"}
    return {**known, "address": "10.79.0.20:4802", "lease_age_ms": 120, "vips": [], "tags": {"role": "mta"}, **more}


def cluster(members: Items) -> dict[str, Any]:
    """The cluster as a whole, with these members."""
    subclusters: dict[str, dict[str, Any]] = {}
    for one in members:
        name = one["subcluster"]
        known = subclusters.setdefault(
            name, {"name": name, "live": 0, "late": 0, "absent": 0, "versions": {}, "lease_ages": [0] * 8}
        )
        known[one["state"]] += 1
        if one["state"] != "absent":
            known["versions"][one["version"]] = known["versions"].get(one["version"], 0) + 1
            known["lease_ages"][min(7, (one["lease_age_ms"] or 0) // 312)] += 1
    return {
        "cluster": "ec_cluster",
        "manager": "barca",
        "leader": "barca",
        "managers": ["barca"],
        "view": 17,
        "view_since": ago(133),
        "lease_clock_ms": 12_345_600,
        "redis": "7.0.15 standalone 127.0.0.1:6379",
        "round_trip_ms": 0.21,
        "subclusters": list(subclusters.values()),
    }


class Fed:
    """A listener at `path`. Each reader gets `events`, and those of `tell` later."""

    def __init__(self, path: Path, events: Iterable[Mapping[str, Any]]) -> None:
        self.path, self.events = path, list(events)
        self._readers: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self.refuses = ""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Fed":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def tell(self, *events: Mapping[str, Any]) -> None:
        """Tell every reader."""
        for reader in self._readers:
            for event in events:
                reader.sendall(frames.encode(frames.CHUNK, json.dumps({"id": 1, **event}).encode()))

    def cut(self) -> None:
        """End every connection."""
        for reader in self._readers:
            # Its thread, which reads, then closes it.
            with contextlib.suppress(OSError):
                reader.shutdown(socket.SHUT_RDWR)
        self._readers.clear()

    def _accept(self) -> None:
        while True:
            try:
                reader, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(reader,), daemon=True).start()

    def _serve(self, reader: socket.socket) -> None:
        with reader, contextlib.suppress(ConnectionError):
            self._answer(reader)

    def _answer(self, reader: socket.socket) -> None:
        decoder = frames.Decoder()
        while data := reader.recv(65536):
            for _, payload in decoder.feed(data):
                asked = json.loads(payload)
                assert (asked["command"], asked["stream"]) == ("feed all", True)
                if self.refuses:
                    result = {"id": asked["id"], "status": "denied", "exit": 5, "body": self.refuses}
                    reader.sendall(frames.encode(frames.RESULT, json.dumps(result).encode()))
                    return
                for event in self.events:
                    reader.sendall(frames.encode(frames.CHUNK, json.dumps({"id": asked["id"], **event}).encode()))
                self._readers.append(reader)


def example(nodes: int = 200) -> list[dict[str, Any]]:
    """A cluster in which something of everything happens."""
    groups = ("east", "west", "north")
    members = [member(f"{groups[n % 3]}{n // 3 + 1}", groups[n % 3], lease_age_ms=n * 7 % 500) for n in range(nodes)]
    members[4] |= {"state": "late", "lease_age_ms": 1900}
    members[7] |= {"state": "absent", "since": ago(200), "version": "", "lease_age_ms": None}
    members[11] |= {"version": "1.1.0", "vips": ["10.79.0.101"]}
    vips = [
        {"address": f"10.79.0.{100 + n}", "owner": f"east{n + 1}", "session": None, "state": "held", "epoch": 4 + n}
        | {"since": ago(4000 + 977 * n), "before": None, "reserved_for": None, "reason": "the fewest VIPs"}
        for n in range(6)
    ]
    vips[1] |= {"since": ago(12), "owner": "north4", "before": "west3", "reason": "the fewest VIPs"}
    vips[3] |= {"owner": None, "state": "free", "since": ago(3), "before": "east4", "reason": "move"}
    commands = [
        {"id": "01KB3ZD4P1QX", "issued": ago(2.1), "user": "root", "target": "@all", "answered": 161, "expected": nodes}
        | {"command": "reopen logs"},
        {"id": "01KB3ZC0WV9Y", "issued": ago(300), "user": "tom", "target": "@east", "answered": 67, "expected": 67}
        | {"command": "sieve:sieve1 flush cache"},
    ]
    schedules = [
        {"id": "3fa9c1", "next": "2026-12-24T04:00:00Z", "recurs": True, "when": "0 4 * * *", "user": "root"}
        | {"command": "broadcast reopen logs", "last": {"due": "", "state": "failed", "by": "barca", "note": "no"}},
        {"id": "0b77e2", "next": "2026-12-24T05:30:00Z", "recurs": True, "when": "3600 s", "user": "tom"}
        | {"command": "broadcast pid", "last": {"due": "", "state": "ok", "by": "barca", "note": ""}},
    ]
    jobs = [
        {"id": "9c1f00aa0001", "node": "east2", "state": "running", "progress": 40, "queued": ago(95)}
        | {"command": "exec rebuild index"}
    ]
    audit = [
        {"id": f"{n}-0", "at": ago(seconds), "kind": "x", "subject": "member", "what": what, "why": why}
        | {"took_ms": took_ms, "by": None}
        for n, (seconds, what, why, took_ms) in enumerate(
            (
                (400, "node west9 joined", "subcluster west", None),
                (200, "node west3 lost", "no heartbeat came within the lease", None),
                (12, "10.79.0.101 taken by north4 from west3, epoch 5", "the fewest VIPs", 340),
            )
        )
    ]
    return [
        change("cluster", [cluster(members)], full=True),
        *(change(*pair, full=True) for pair in (("members", members), ("vips", vips), ("commands", commands))),
        *(change(*pair, full=True) for pair in (("jobs", jobs), ("schedules", schedules), ("audit", audit))),
    ]
