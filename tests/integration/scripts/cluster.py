"""A cluster played by hand: it calls each script as the programs do, and makes the answers readable.

The lease clock stands still unless the test moves it, so that no test depends on its speed: scripts get a `max_step_ms`
of 0, and `pass_time` moves the clock. Tests of the clock itself set another step, and the wall clock that the scripts
have recorded.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from eccmgr.cluster.calls import answers, commands, membership, views
from eccmgr.cluster.calls.answers import ClaimAnswer, Collected, Followed, OpenStanding, Parting
from eccmgr.cluster.calls.commands import CommandOrder
from eccmgr.cluster.calls.membership import LastBeat
from eccmgr.cluster.calls.views import FIRST_PAGE, NamedChange
from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.publishing import digest
from eccmgr.cluster.results import Entry, Report, report
from eccmgr.cluster.view import EVERYONE, Target, View
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ReadAs, ScriptCall, script

MINUTE_MS = 60_000
DRIVER = "first"


@dataclass(frozen=True)
class Life:
    """One session of a member."""

    private: str
    name: str
    view: int


@dataclass
class Cluster:
    """The scripts over `redis`, with the names of `keys`."""

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
    """Whether nodes say that they claimed the command. This changes no answer's fate."""
    _lives: int = 0
    _ids: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    def raw(self, call: ScriptCall[Any]) -> Any:
        """The bare answer to a call. Checks that it can be read."""
        reply = self.redis.eval(script(call.script).source, len(call.keys), *call.keys, *call.args)
        call.answer(reply)
        return reply

    def run(self, call: ScriptCall[ReadAs]) -> ReadAs:
        """The answer to a call."""
        reply = self.redis.eval(script(call.script).source, len(call.keys), *call.keys, *call.args)
        return call.answer(reply)

    def audited(self, what: bytes) -> list[dict[bytes, bytes]]:
        """The entries of the audit of one kind, the oldest first."""
        entries: Any = self.redis.xrange(self.keys.audit)
        return [fields for _, fields in entries if fields[b"what"] == what]

    @property
    def options(self) -> ClusterOptions:
        """The present times and bounds."""
        return ClusterOptions(
            session_lease_s=self.lease_ms / 1000,
            max_step_s=self.max_step_ms / 1000,
            absent_ttl_s=self.absent_ttl_ms / 1000,
            command_ttl_s=self.command_ttl_ms / 1000,
            results_ttl_s=self.results_ttl_ms / 1000,
            log_cap=self.log_cap,
            audit_cap=self.audit_cap,
        )

    # Time.

    @property
    def clock(self) -> int:
        """The lease clock, as the last script left it."""
        return int(self.redis.hget(self.keys.state, "clock") or 0)  # type: ignore[arg-type]

    def pass_time(self, ms: int) -> None:
        """Move the lease clock on, as scripts do over time."""
        self.roster()
        self.redis.hincrby(self.keys.state, "clock", ms)

    def step_wall_clock(self, ms: int) -> None:
        """Step the server's wall clock by `ms`, as far as the next script can see."""
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
        """The answer to one attempt to join, under the next fresh private name."""
        self._lives += 1
        private = f"#{'ec0' if rank == 'node' else 'mgr'}-{self._lives}#{name}"
        identity = Identity(Role(rank.capitalize()), name, subcluster)
        options = replace(self.options, heartbeats_borne_per_sec=borne)
        answer: list[bytes] = self.raw(
            membership.join(self.keys, options, identity, private, rate=rate, replaces=replaces, takes_over=takes_over)
        )
        return [*answer[:4], *answer[5:]]

    def join(self, name: str, subcluster: str = "default", rank: str = "node", replaces: str = "") -> Life:
        """Join. This must succeed."""
        verdict, view, *_ = self.try_join(name, subcluster, rank, replaces)
        assert verdict == b"joined"
        return Life(f"#{'ec0' if rank == 'node' else 'mgr'}-{self._lives}#{name}", name, int(view))

    def renew(
        self,
        life: Life,
        *channels: str,
        rate: float = 2,
        borne: float = 5000,
        before: LastBeat = LastBeat(),  # noqa: B008
    ) -> list[Any]:
        """Send a heartbeat, one of `rate` a second, which asks for the latest entries of `channels`.

        `before` is the answer to the last one.
        """
        options = replace(self.options, heartbeats_borne_per_sec=borne)
        call = membership.renew(self.keys, options, life.private, channels, rate=rate, last=before)
        return [_text(part) for part in self.raw(call)[:7]]

    def renews(self, life: Life) -> bool:
        """Whether a heartbeat finds the session alive."""
        return bool(self.renew(life)[0] == "renewed")

    def leave(self, life: Life) -> str:
        """End a session cleanly."""
        return self.run(membership.leave(self.keys, self.options, life.private)).value

    def sweep(self) -> tuple[int, int, int]:
        """Sweep as the leader does; answers the view, the clock, and the ms until the next session lapses."""
        swept = self.run(membership.sweep(self.keys, self.options))
        return swept.view, swept.clock_ms, -1 if swept.lapses_in_ms is None else swept.lapses_in_ms

    def expect(self, named: dict[str, str | None], source: str = "a", called: str = "the file") -> None:
        """State that the bus file `source` names these nodes, with their subclusters; None if it no longer names the
        node."""
        changes = [
            NamedChange(name, (given,) if given else (), named=given is not None) for name, given in named.items()
        ]
        self.run(views.expect(self.keys, self.options, source, called, changes))

    def forget(self, node: str) -> list[str]:
        """Forget an absent node; answers the verdict."""
        forgotten = self.run(views.forget(self.keys, self.options, node, "root"))
        return [forgotten.verdict.value, *forgotten.files]

    def renew_with_record(self, life: Life, **tags: str) -> bytes:
        """Send a heartbeat with the record that the node wrote when it joined, with these tags; answers that record."""
        record = Identity(Role.NODE, life.name, "default", tags=tags).member(life.private).dump()
        self.run(membership.renew(self.keys, self.options, life.private, rate=2, record=record))
        return record.encode()

    def resettle(self, life: Life, subcluster: str, **tags: str) -> int | None:
        """Move a node to another subcluster, as its bus file says; answers the view, None if its session is over."""
        record = Identity(Role.NODE, life.name, subcluster, tags=tags).member(life.private).dump()
        return self.run(membership.resettle(self.keys, self.options, life.private, life.name, subcluster, record))

    def catch_up(
        self, after: str, *channels: str, limit: int = 100, node: str = "east1"
    ) -> tuple[str, bool, list[dict[str, Any]]]:
        """The last entry that was read, whether there may be more, and the messages."""
        read, more, messages = self.run(commands.catch_up(self.keys, self.options, after, limit, node, channels))
        return read, more, [json.loads(message) for message in messages]

    def roster(self, known: str = "") -> str:
        """The present view as BORN:NUMBER. The script keeps it unless it is the `known` one."""
        number, born = self.run(views.roster(self.keys, self.options, self.results_ttl_ms, known))
        return f"{born.decode()}:{number}"

    @property
    def view(self) -> View:
        """The present nodes."""
        return self.kept_view(int(self.roster().partition(":")[2]))

    def kept_view(self, number: int) -> View:
        """View `number`, which must be kept."""
        live = self.read(self.keys.view(number))
        assert b"" in live, "the view is not kept"
        return View.read(number, live, self.read(self.keys.absent_in_view(number)))

    def read(self, key: str) -> dict[bytes, bytes]:
        """All fields of a hash, read by pages of about three."""
        found: dict[bytes, bytes] = {}
        after = FIRST_PAGE
        while True:
            after, fields = self.run(views.page(key, after, fields=3))
            found.update(fields)
            if after == FIRST_PAGE:
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
        """The answer to one attempt to send `text`. Without an id, this takes the next fresh one."""
        if not made:
            self._ids += 1
            made = f"{self._ids:012}"
        order = CommandOrder(
            made,
            digest(text),
            text,
            target,
            "root",
            self.keys.draft("1"),
            wait_s=wait_ms / 1000,
            notices="asked",
            shown=shown,
            names=target.names if names is None else names.split("\n"),
            rolling=rolling,
            drafted=drafted,
            told_of=self.told_of,
            driver=DRIVER,
            pace="1 -" if rolling else "",
        )
        answer: list[bytes] = self.raw(commands.publish(self.keys, self.options, order))
        return answer

    def publish(self, text: str = "pid", target: Target = EVERYONE, wait_ms: int = 0, rolling: bool = False) -> str:
        """Send `text`, which must succeed; answers its id."""
        assert self.try_publish(text, target, wait_ms=wait_ms, rolling=rolling)[0] == b"sent"
        return f"{self._ids:012}"

    def draft(self, *nodes: str) -> None:
        """Before a command for a large set is sent: draft its plan."""
        self.run(commands.draft(self.keys, self.options, self.keys.draft("1"), nodes))

    def release(self, sent: str, *nodes: str, driver: str = DRIVER) -> str:
        """Release a rolling command to `nodes`; answers the verdict."""
        call = commands.release(self.keys, self.options, sent, EVERYONE, nodes, driver=driver)
        return self.run(call).verdict.value

    def try_claim(self, life: Life, sent: str, again: bool = False) -> ClaimAnswer:
        """The answer to a node's claim."""
        node = life.name.lower()
        return self.run(answers.claim(self.keys, self.options, sent, life.private, node, life.view, again=again))

    def claim(self, life: Life, sent: str, again: bool = False) -> str:
        """The verdict on a node's claim."""
        return self.try_claim(life, sent, again).verdict.value

    def abort(self, sent: str) -> str:
        """Withdraw a command; answers the verdict."""
        return self.run(commands.abort(self.keys, self.options, sent, "root")).value

    def respond(self, life: Life, sent: str, body: str | bytes = "", state: str = "ok", flags: str = "") -> str:
        """The verdict on a node's answer."""
        call = answers.respond(
            self.keys,
            self.options,
            sent,
            life.private,
            life.name.lower(),
            life.view,
            state=state,
            took_ms=7,
            flags=flags,
            body=body.encode() if isinstance(body, str) else body,
            claimed=self.says_claimed,
        )
        return self.run(call).value

    def collect(
        self, sent: str, seen: int = 0, last: bool = False, limit: int = 100, in_all: int = 99
    ) -> dict[str, Entry]:
        """The responses that a gather has not seen yet. It has `seen` that many responses, and waits for `in_all`."""
        parting = Parting.STOP if last else Parting.STAYS
        return self.look(sent, seen, parting=parting, limit=limit, in_all=in_all).entries

    def look(
        self,
        sent: str,
        seen: int = 0,
        driver: str = DRIVER,
        parting: Parting = Parting.STAYS,
        limit: int = 100,
        in_all: int = 99,
    ) -> Collected:
        """A look at the responses by a gather, which drives the command if it is the `driver`."""
        call = answers.collect(
            *(self.keys, self.options, sent, seen, in_all),
            driver=driver,
            parting=parting,
            limit=limit,
            told_of=self.told_of,
        )
        return self.run(call)

    def follow(self, sent: str, driver: str = "") -> Followed | None:
        """Begin to follow a command, or take the place of its driver."""
        return self.run(answers.follow(self.keys, self.options, sent, driver, "asked too"))

    def standing(self, sent: str, *lives: Life) -> OpenStanding:
        """How far the nodes of `lives` are, and when these sessions end."""
        nodes, sessions = [life.name.lower() for life in lives], [life.private for life in lives]
        return self.run(answers.standing(self.keys, self.options, sent, nodes, sessions))

    def results(self, named: str, limit: int = 100) -> Report | None:
        """The report on the command with that id or text. More entries than `limit` are read by pages."""
        wanted = named if named.isdigit() else ""
        found = self.run(answers.results(self.keys, self.options, wanted, digest(named), limit=limit))
        if found is None:
            return None
        entries = answers.entries(self._whole(found.responses))
        told = answers.plan(self._whole(found.plan))
        then, now = self.kept_view(found.sent.view), self.kept_view(found.view.number)
        return report(found.sent, then, now, entries, found.clock_ms, told)

    def _whole(self, found: dict[bytes, bytes] | str) -> dict[bytes, bytes]:
        return self.read(found) if isinstance(found, str) else found

    def states(self, named: str) -> dict[str, str]:
        """The state of the command on each expected node; {} if there is no such command."""
        found = self.results(named)
        return {outcome.node: outcome.state.value for outcome in found.outcomes} if found is not None else {}

    def flush(self) -> int:
        """Clear the results buffer; answers the number of cleared commands."""
        after, last, cleared = "-", "+", 0
        while after:
            number, after, last = self.run(commands.flush(self.keys, self.options, after, last))
            cleared += number
        return cleared

    def history(self, count: int = 20) -> list[PastCommand]:
        """The latest commands, newest last."""
        found = self.run(commands.history(self.keys, self.options, count))
        return [PastCommand.parse(fields) for fields in reversed(found)]

    def say_words(self, *words: str) -> int:
        """Keep the first words of a node's commands; answers the number of kept words."""
        return self.run(commands.say_words(self.keys, self.options, words, counts_for_s=1.0, most=10))

    # Messages.

    def messages(self, channel: str, act: Callable[[], object]) -> list[bytes]:
        """The messages on `channel` while `act` runs."""
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
        """The events of the membership while `act` runs, each with its members."""
        found = [json.loads(message) for message in self.messages(self.keys.events, act)]
        return [(event["event"], event["members"]) for event in found]

    def immortal(self) -> list[str]:
        """The keys of this cluster that have no lifetime."""
        return [key.decode() for key in self.redis.scan_iter(f"{self.keys.tag}*") if self.redis.ttl(key) == -1]


def _text(part: Any) -> Any:
    if isinstance(part, list):
        return [_text(each) for each in part]
    return part.decode() if isinstance(part, bytes) else part
