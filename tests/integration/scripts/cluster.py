"""A cluster played by hand: each script called as the programs call it, its answer made readable.

The lease clock stands still unless the test moves it, so that no test depends on how fast it runs: scripts are called
with a `max_step_ms` of 0, and `pass_time` moves the clock. Tests of the clock itself set another step and the wall
clock that the scripts have on record.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.publishing import digest
from eccmgr.cluster.results import Entry, Report, Sent, report
from eccmgr.cluster.view import EVERYONE, Target, View
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import script

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Life:
    """One session of a member."""

    private: str
    name: str
    view: int


@dataclass
class Cluster:
    """The scripts over `redis`, under the names of `keys`."""

    redis: "redis.Redis"
    keys: Keys
    lease_ms: int = 2500
    max_step_ms: int = 0
    absent_ttl_ms: int = 10 * MINUTE_MS
    command_ttl_ms: int = MINUTE_MS
    results_ttl_ms: int = 60 * MINUTE_MS
    log_cap: int = 1000
    told_of: int = 50
    audit_cap: int = 1000
    says_claimed: bool = False
    """What nodes say of each answer; it makes no difference to what becomes of it."""
    _lives: int = 0
    _ids: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        keys = self.keys
        self._members = (keys.state, keys.sessions, keys.members, keys.roster, keys.absent)
        self._members += (keys.absent_since, keys.seniority, keys.subclusters, keys.events)

    def call(self, name: str, keys: tuple[str, ...], *args: str | bytes | int) -> Any:
        """The bare answer of a script."""
        return self.redis.eval(script(name).source, len(keys), *keys, self.max_step_ms, *args)

    # Time.

    @property
    def clock(self) -> int:
        """The lease clock as the last script left it."""
        return int(self.redis.hget(self.keys.state, "clock") or 0)  # type: ignore[arg-type]

    def pass_time(self, ms: int) -> None:
        """Move the lease clock, as scripts do over time."""
        self.roster()
        self.redis.hincrby(self.keys.state, "clock", ms)

    def step_wall_clock(self, ms: int) -> None:
        """Make the server's wall clock seem to have been stepped by `ms` since the last script."""
        self.redis.hincrby(self.keys.state, "wall", -ms)

    # Members.

    def try_join(
        self,
        name: str,
        subcluster: str = "default",
        rank: str = "node",
        replaces: str = "",
        takes_over: bool = False,
        rate: float = 2,
        borne: float = 5000,
    ) -> list[bytes]:
        """The answer to one attempt to join; the private name is the next fresh one."""
        self._lives += 1
        private = f"#{'ec0' if rank == 'node' else 'mgr'}-{self._lives}#{name}"
        record = json.dumps({"private_name": private})
        answer: list[bytes] = self.call(
            "join",
            (*self._members, self.keys.vips, self.keys.vip_changes, self.keys.late),
            *(self.lease_ms, private, name if rank == "node" else "", subcluster, record, rank, replaces),
            *(int(takes_over), "", 0, 0, self.keys.ended_prefix, str(rate), str(borne)),
        )
        return [*answer[:4], *answer[5:]]

    def join(self, name: str, subcluster: str = "default", rank: str = "node", replaces: str = "") -> Life:
        """Join, which must succeed."""
        verdict, view, *_ = self.try_join(name, subcluster, rank, replaces)
        assert verdict == b"joined"
        return Life(f"#{'ec0' if rank == 'node' else 'mgr'}-{self._lives}#{name}", name, int(view))

    def renew(
        self,
        life: Life,
        *channels: str,
        rate: float = 2,
        borne: float = 5000,
        before: tuple[int, str, str] = (0, "", "1"),
    ) -> list[Any]:
        """A heartbeat, one of `rate` a second, that asks for the latest entries of `channels`.

        `before` is what the last one was answered: view, leader, stretch.
        """
        own = self.keys
        keys = (own.state, own.sessions, own.seniority, own.heads, own.roster, own.vips, own.vip_changes, own.late)
        carries_none = ("", 0, "", 0, own.ended_prefix)
        answer = self.call("renew", keys, *self._lease(life), rate, borne, *before, *carries_none, *channels)[:7]
        return [_text(part) for part in answer]

    def renews(self, life: Life) -> bool:
        """Whether a heartbeat finds the session alive."""
        return bool(self.renew(life)[0] == "renewed")

    def leave(self, life: Life) -> str:
        """A clean end."""
        return str(self.call("leave", self._members, life.private).decode())

    def sweep(self) -> tuple[int, int, int]:
        """The leader's round: view, clock, ms until the next session lapses."""
        keys = (*self._members, self.keys.log, self.keys.latest, self.keys.audit, self.keys.heads)
        keys += (self.keys.vips, self.keys.vip_changes, self.keys.late)
        args = (self.absent_ttl_ms, self.results_ttl_ms, self.log_cap, self.keys.command_prefix)
        view, clock, left = self.call("sweep", keys, *args)
        return int(view), int(clock), int(left)

    def expect(self, named: dict[str, str | None], source: str = "a", called: str = "the file") -> None:
        """The bus file `source` names these nodes, with their subclusters; None where it does not any more."""
        own = self.keys
        keys = (own.state, own.roster, own.absent, own.absent_since, own.subclusters, own.events)
        flat = [each for name, given in named.items() for each in (name, given or "", int(given is not None))]
        assert self.call("expect", keys, source, called, *flat) == b"taken"

    def forget(self, node: str) -> list[str]:
        """Expect an absent node no more; the answer."""
        own = self.keys
        keys = (own.state, own.roster, own.absent, own.absent_since, own.subclusters, own.events)
        keys += (own.vips, own.vip_changes, own.audit)
        return [part.decode() for part in self.call("forget", keys, node, "root", self.audit_cap)]

    def resettle(self, life: Life, subcluster: str) -> list[str]:
        """A node follows its bus file to another subcluster; the answer."""
        own = self.keys
        keys = (own.state, own.sessions, own.members, own.roster, own.subclusters, own.events)
        return [
            part.decode() for part in self.call("resettle", keys, life.private, life.name.lower(), subcluster, "{}")
        ]

    def catch_up(
        self, after: str, *channels: str, limit: int = 100, node: str = "east1"
    ) -> tuple[str, int, list[dict[str, Any]]]:
        """Where the reading ended, 1 where there may be more, and the messages."""
        keys = (self.keys.state, self.keys.log)
        read, more, messages = self.call("catchup", keys, after, limit, self.keys.command_prefix, node, *channels)
        return read.decode(), more, [json.loads(message) for message in messages]

    def roster(self, known: str = "") -> str:
        """The view of now, as BORN:NUMBER; it is kept where it is not the one that is `known`."""
        args = (self.keys.view_prefix, self.results_ttl_ms, known)
        number, born = self.call("roster", (self.keys.state, self.keys.roster, self.keys.absent), *args)
        return f"{born.decode()}:{number.decode()}"

    @property
    def view(self) -> View:
        """The nodes of now."""
        return self.kept_view(int(self.roster().partition(":")[2]))

    def kept_view(self, number: int) -> View:
        """View `number` as it is kept; nobody asks for one that is not."""
        live = self.read(self.keys.view(number))
        assert b"" in live, "the view is not kept"
        return View.read(number, live, self.read(self.keys.absent_in_view(number)))

    def read(self, key: str) -> dict[bytes, bytes]:
        """All of a hash, by pages of about three."""
        found: dict[bytes, bytes] = {}
        at = b"0"
        while True:
            at, flat = self.redis.eval(script("page").source, 1, key, at, 3)  # type: ignore[misc]
            found.update(zip(flat[::2], flat[1::2], strict=True))
            if at in (b"0", 0):
                return found

    # Commands.

    def try_publish(
        self,
        text: str = "pid",
        target: Target = EVERYONE,
        made: str = "",
        wait_ms: int = 0,
        shown: str = "",
        rolling: bool = False,
        drafted: int = 0,
        names: str | None = None,
    ) -> list[bytes]:
        """The answer to one attempt to send `text`; the id is the next fresh one where none is given."""
        if not made:
            self._ids += 1
            made = f"{self._ids:012}"
        keys = self.keys
        answer: list[bytes] = self.call(
            "publish",
            (
                *(*self._members, keys.log, keys.latest, keys.audit, keys.heads, keys.command(made), keys.plan(made)),
                keys.draft("1"),
            ),
            *(made, digest(text), text, "root", target.channel(keys), target.kind.value, target.name),
            *(self.command_ttl_ms, self.results_ttl_ms, self.log_cap, "asked" if wait_ms else "", wait_ms),
            *(
                keys.view_prefix,
                keys.command_prefix,
                self.audit_cap,
                shown,
                "\n".join(target.names) if names is None else names,
                keys.node_prefix,
                int(rolling),
                drafted,
                self.told_of,
            ),
        )
        return answer

    def publish(self, text: str = "pid", target: Target = EVERYONE, wait_ms: int = 0, rolling: bool = False) -> str:
        """Send `text`, which must succeed; its id."""
        assert self.try_publish(text, target, wait_ms=wait_ms, rolling=rolling)[0] == b"sent"
        return f"{self._ids:012}"

    def draft(self, *nodes: str) -> None:
        """Plan a command for a large set, before it is sent."""
        keys = (self.keys.state, self.keys.draft("1"))
        self.call("draft", keys, self.command_ttl_ms, "\n".join(nodes))

    def release(self, sent: str, *nodes: str) -> str:
        """Send a rolling command to `nodes`; the verdict."""
        keys = self.keys
        answer = self.call(
            "release",
            (
                *(keys.state, keys.command(sent), keys.responses(sent), keys.arrived(sent), keys.plan(sent)),
                *(keys.log, keys.heads),
            ),
            *(self.command_ttl_ms, self.results_ttl_ms, keys.view_prefix, keys.node_prefix, "\n".join(nodes)),
            keys.everyone,
        )
        return str(answer[0].decode())

    def claim(self, life: Life, sent: str, again: bool = False) -> str:
        """The verdict on a node's claim."""
        answer = self.call("claim", self.claim_keys(sent), life.private, life.name.lower(), life.view, int(again))
        return str(answer[0].decode())

    def abort(self, sent: str) -> str:
        """Withdraw a command; the verdict."""
        own = self.keys
        keys = (own.state, own.command(sent), own.audit, own.log, own.heads)
        return str(self.call("abort", keys, self.keys.everyone, "root", self.audit_cap).decode())

    def claim_keys(self, sent: str) -> tuple[str, ...]:
        """The keys that a claim takes."""
        keys = self.keys
        return (keys.state, keys.sessions, keys.command(sent), keys.responses(sent), keys.plan(sent))

    def respond(self, life: Life, sent: str, body: str | bytes = "", state: str = "ok", flags: str = "") -> str:
        """The verdict on a node's answer."""
        keys = self.keys
        answer: bytes = self.call(
            "respond",
            (keys.state, keys.command(sent), keys.responses(sent), keys.arrived(sent), keys.roster, keys.plan(sent)),
            *(life.private, life.name.lower(), life.view, state, 7, flags, body, keys.view_prefix, self.results_ttl_ms),
            int(self.says_claimed),
        )
        return answer.decode()

    def collect(
        self, sent: str, seen: int = 0, last: bool = False, limit: int = 100, in_all: int = 99
    ) -> dict[str, Entry]:
        """What a gather that has `seen` so many responses, and waits for `in_all`, has not seen yet."""
        keys = self.keys
        _, _, _, found, _, _ = self.call(
            "collect",
            (keys.state, keys.command(sent), keys.responses(sent), keys.arrived(sent)),
            *(seen, limit, in_all, self.told_of, "1" if last else "0"),
        )
        return {node.decode(): Entry.parse(raw) for node, raw in zip(found[::2], found[1::2], strict=True)}

    def results(self, named: str, limit: int = 100) -> Report | None:
        """The report on the command of that id or text; more entries than `limit` are read by pages."""
        keys, wanted = self.keys, named if named.isdigit() else ""
        found = self.call(
            "results",
            (keys.state, keys.latest, keys.roster, keys.absent),
            *(wanted, digest(named), keys.command_prefix, keys.view_prefix, self.results_ttl_ms, "", limit),
        )
        if not found:
            return None
        clock, fields, responses, number, _, plan = found
        sent = Sent.parse(dict(zip(fields[::2], fields[1::2], strict=True)))
        entries = {node.decode(): Entry.parse(raw) for node, raw in self._whole(responses).items()}
        told = {node.decode(): int(until) for node, until in self._whole(plan).items()}
        return report(sent, self.kept_view(sent.view), self.kept_view(int(number)), entries, int(clock), told)

    def _whole(self, found: list[bytes] | bytes) -> dict[bytes, bytes]:
        if isinstance(found, bytes):
            return self.read(found.decode())
        return dict(zip(found[::2], found[1::2], strict=True))

    def states(self, named: str) -> dict[str, str]:
        """Each expected node and what became of the command there; {} where there is nothing to retrieve."""
        found = self.results(named)
        return {outcome.node: outcome.state.value for outcome in found.outcomes} if found is not None else {}

    def flush(self) -> int:
        """Clear the results buffer; how many commands were cleared."""
        begin, end, cleared = "-", "+", 0
        while begin:
            keys = (self.keys.state, self.keys.log, self.keys.latest)
            number, again, last = self.call("flush", keys, self.keys.command_prefix, begin, end)
            begin, end, cleared = again.decode(), last.decode(), cleared + number
        return cleared

    def history(self, count: int = 20) -> list[PastCommand]:
        """The latest commands, the newest last."""
        found = self.call("history", (self.keys.state, self.keys.log), count, self.keys.command_prefix)
        return [PastCommand.parse(fields) for fields in reversed(found)]

    # What is heard.

    def messages(self, channel: str, act: Callable[[], object]) -> list[bytes]:
        """What is published on `channel` while `act` runs."""
        with self.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(channel)
            while not pubsub.subscribed:
                pubsub.get_message(timeout=1)
            act()
            self.redis.publish(channel, b"the end")
            heard: list[bytes] = []
            while b"the end" not in heard:
                message = pubsub.get_message(timeout=5)
                if message is not None:
                    heard.append(message["data"])
            return heard[:-1]

    def events(self, act: Callable[[], object]) -> list[tuple[str, list[str]]]:
        """The events of the membership while `act` runs: what happened, and to whom."""
        found = [json.loads(message) for message in self.messages(self.keys.events, act)]
        return [(event["event"], event["members"]) for event in found]

    def immortal(self) -> list[str]:
        """The keys of this cluster that would never end."""
        return [key.decode() for key in self.redis.scan_iter(f"{self.keys.tag}*") if self.redis.ttl(key) == -1]

    def _lease(self, life: Life) -> tuple[int, str]:
        return self.lease_ms, life.private


def _text(part: Any) -> Any:
    if isinstance(part, list):
        return [_text(each) for each in part]
    return part.decode() if isinstance(part, bytes) else part
