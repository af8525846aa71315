"""The scripts and the model's plain server give the same answers to the same calls."""

import contextlib
import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
import redis

from eccmgr.cluster.calls.membership import LATE_AFTER_BEATS, Joined, NameTaken, Renewed, join, renew
from eccmgr.cluster.carrier import CarrierState, SessionRefusal
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions
from eccmgr.duravip.records import Beaten, Era, Page, SessionAnswer, Verdict
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ReadAs, ScriptCall, script
from tests.model.server import Data, Scripts
from worker.duravip import calls
from worker.duravip.model.actions import (
    Acquire,
    Beat,
    EndCarrying,
    Gift,
    OpenEra,
    Read,
    RedisCall,
    Release,
    StateHeld,
    TakeOver,
    Wish,
)

LATE_MS = 600
OPTIONS = ClusterOptions(
    max_step_s=0, session_lease_s=10**9, heartbeats_per_sec=LATE_AFTER_BEATS * 1000 / LATE_MS, audit_cap=1000
)
VIPS = ("10.0.0.1", "10.0.0.2", "fd00::3")


class Real:
    """The scripts on a server, called as the agent calls them."""

    def __init__(self, client: "redis.Redis", keys: Keys) -> None:
        self.client, self.keys = client, keys
        self.kept = (keys.state, keys.vips, keys.vip_changes, keys.late, keys.sessions, keys.members, keys.seniority)

    def run(self, call: ScriptCall[ReadAs]) -> ReadAs:
        return call.answer(self.client.eval(script(call.script).source, len(call.keys), *call.keys, *call.args))

    def call(self, asked: RedisCall, node: str) -> SessionAnswer:
        if not isinstance(asked, Beat):
            return self.run(calls.call_of(asked, self.keys, OPTIONS, node))
        standing = CarrierState(asked.session, asked.era.number, asked.era.memory)
        if asked.joins:
            who = Identity(Role.OTHER, "", "default")
            return self.beaten(join(self.keys, OPTIONS, who, asked.session, rate=0, standing=standing))
        return self.beaten(renew(self.keys, OPTIONS, asked.session, rate=0, standing=standing))

    def beaten(self, call: ScriptCall[Joined | NameTaken | Renewed | SessionRefusal]) -> SessionAnswer:
        answer = self.run(call)
        if isinstance(answer, SessionRefusal):
            return calls.refused(answer, acked=True)
        assert not isinstance(answer, NameTaken)
        assert answer.vips is not None
        return calls.beaten(answer.vips, acked=True)

    def copy(self) -> dict[str, Any]:
        return {key: self.client.dump(key) for key in self.kept}

    def put_back(self, copy: dict[str, Any]) -> None:
        for key, data in copy.items():
            self.client.delete(key)
            if data is not None:
                self.client.restore(key, 86_400_000, data)


class Both:
    """The two servers, driven by one schedule. Eras are compared by the order in which they came."""

    def __init__(self, real: Real, seed: int) -> None:
        self.real, self.random = real, random.Random(seed)
        self.memory = real.client.eval(MEMORY, 0).decode()  # type: ignore[union-attr]
        eras = itertools.count(1)
        self.plain = Scripts(lambda: 0, lambda: self.memory, 0, LATE_MS, floor=lambda: 1000 * next(eras))
        self.numbers: dict[int, int] = {0: 0}
        """The real server's number of each era → the plain server's number of it."""
        self.seen: dict[str, tuple[Era, Era]] = {}
        self.before: dict[str, tuple[Era, Era]] = {}
        """The eras that each node had seen before: calls may come late."""
        self.names = itertools.count(1)
        self.sessions = [self.fresh(i) for i in range(3)]
        self.copies: list[tuple[Data, dict[str, Any]]] = []
        self.kinds: set[str] = set()

    def fresh(self, number: int) -> str:
        return f"#oth-{next(self.names)}#h{number}"

    def step(self) -> None:
        number = self.random.randrange(3)
        session, node = self.sessions[number], f"h{number}"
        if self.random.random() < 0.12:
            self.happen()
            return
        seen = self.before if self.random.random() < 0.1 else self.seen
        real_era, plain_era = seen.get(session, (Era(), Era()))
        asked = self.draw(session, real_era)
        told = self.draw_again(asked, session, plain_era)
        found, expected = self.real.call(asked, node), self.plain.call(told, node)
        assert expected is not None
        self.numbers.setdefault(found.era.number, expected.era.number)
        assert len(set(self.numbers.values())) == len(self.numbers)
        self.kinds.add(f"{type(asked).__name__} {found.verdict}")
        assert self.as_plain(found) == expected, (asked, told)
        if found.verdict is Verdict.ENDED:
            self.sessions[number] = self.fresh(number)
        elif isinstance(asked, Beat) and (found.verdict is Verdict.OK or self.random.random() < 0.5):
            if (last := self.seen.get(session)) and last[0] != found.era:
                self.before[session] = last
            self.seen[session] = (found.era, expected.era)

    def draw(self, session: str, era: Era) -> RedisCall:
        r = self.random
        some = r.sample(VIPS, r.randint(1, 3))
        record = self.plain._record(some[0]) if self.plain.data.vips is not None else None
        epoch = r.choice((record.epoch if record else 1, 1, 2, 3))
        life = (self.plain.data.lives or {}).get(watched := r.choice(self.sessions), (0, 1))
        return r.choice(
            (
                Beat(session, era, 0.0, joins=True),
                Beat(session, era, 0.0, joins=False),
                StateHeld(session, era, tuple((vip, r.randint(1, 4)) for vip in some)),
                OpenEra(session, era),
                OpenEra(session, era),
                Acquire(
                    session,
                    era,
                    tuple(Wish(v, r.choice((0, 1, 7)), r.choice(("", "x")), r.random() < 0.2) for v in some),
                ),
                Acquire(session, era, tuple(Wish(vip, 0, "y") for vip in some)),
                Release(session, era, (Gift(some[0], epoch, r.choice(("", "h0", "h1")), "move"),)),
                TakeOver(session, era, watched, r.choice((life[1], life[1] + 1))),
                Read(session, era, r.choice((0, self.plain.data.state.get("change", 0), 1))),
                Read(session, era, 0),
            )
        )

    def draw_again(self, asked: RedisCall, session: str, era: Era) -> RedisCall:
        return type(asked)(**{**{name: getattr(asked, name) for name in asked.__dataclass_fields__}, "era": era})

    def as_plain(self, answer: SessionAnswer) -> SessionAnswer:
        values = {name: getattr(answer, name) for name in answer.__dataclass_fields__}
        values["era"] = Era(self.numbers[answer.era.number], answer.era.memory)
        if isinstance(answer, Page):
            values["records"] = tuple(
                (name, type(r)(r.owner, r.epoch, self.numbers[r.era], r.to, r.reason)) for name, r in answer.records
            )
        if isinstance(answer, Beaten):
            values["late"] = answer.late
        return type(answer)(**values)

    def happen(self) -> None:
        """An event that no agent's call causes."""
        what = self.random.choice(("time", "time", "restart", "empty", "evict", "copy", "put back", "end", "end"))
        self.kinds.add(what)
        # If everything else is lost, the time numbers an era, and no server loses everything twice in one millisecond.
        time.sleep(0.002)
        keys, client, data = self.real.keys, self.real.client, self.plain.data
        if what == "time" and "clock" in data.state:
            client.hincrby(keys.state, "clock", 400)
            data.state["clock"] += 400
        elif what == "restart" and data.state:
            client.hset(keys.state, "mem", "of another life")
            data.state["mem"] = "of another life"
        elif what == "empty":
            client.delete(*self.real.kept, *client.scan_iter(f"{keys.ended_prefix}*"))
            self.plain.data = Data()
            self._pass_a_moment()
        elif what == "evict":
            name, key = self.random.choice((("vips", keys.vips), ("changes", keys.vip_changes)))
            client.delete(key)
            setattr(data, name, None)
            if name == "vips":
                data.lives = None
        elif what == "copy":
            self.copies.append((data.copy(), self.real.copy()))
        elif what == "put back" and self.copies:
            plain, real = self.random.choice(self.copies)
            ended = self.plain.data.ended
            self.plain.data = plain.copy()
            self.plain.data.ended = ended
            self.real.put_back(real)
            self._pass_a_moment()
        elif what == "end":
            number = self.random.randrange(3)
            session = self.sessions[number]
            real_era, plain_era = self.seen.get(session, (Era(), Era()))
            found = self.real.call(EndCarrying(session, real_era), "")
            expected = self.plain.call(EndCarrying(session, plain_era), "")
            assert expected is not None
            self.numbers.setdefault(found.era.number, expected.era.number)
            assert self.as_plain(found) == expected

    @staticmethod
    def _pass_a_moment() -> None:
        """Wait for the next millisecond: the time numbers an era if nothing is known, and no server comes back that
        fast."""
        time.sleep(0.002)


MEMORY = script("vip_open").source.partition("local at =")[0] + "\nreturn memory_of_server()"


@contextlib.contextmanager
def backend(request: pytest.FixtureRequest, name: str) -> "Iterator[redis.Redis]":
    if name == "fakeredis":
        with fakeredis.FakeRedis() as client:
            yield client
    else:
        with redis.Redis(unix_socket_path=str(request.getfixturevalue("redis_server").socket)) as client:
            yield client


@pytest.mark.parametrize(("name", "schedules"), [("fakeredis", 4), ("server", 40)])
def test_every_answer_is_the_plain_server_s(
    request: pytest.FixtureRequest, name: str, schedules: int, keys: Keys
) -> None:
    first = random.SystemRandom().randrange(10**6)
    kinds: set[str] = set()
    with backend(request, name) as client:
        for seed in range(first, first + schedules):
            both = Both(Real(client, Keys(f"{keys.cluster}-{seed}")), seed)
            try:
                for _ in range(120):
                    both.step()
            except AssertionError as error:
                error.add_note(f"schedule {seed}")
                raise
            finally:
                left = list(client.scan_iter(f"{both.real.keys.tag}*", count=1000))
                immortal = [key for key in left if client.ttl(key) == -1]
                if left:
                    client.unlink(*left)
            assert not immortal
            kinds |= both.kinds
    assert {
        f"{call} ok" for call in ("Beat", "StateHeld", "OpenEra", "Acquire", "Release", "TakeOver", "Read")
    } <= kinds
    assert {"Beat rejoin", "Beat ended", "Acquire rejoin"} <= kinds or schedules < 10


@pytest.mark.parametrize("name", ["fakeredis", "server"])
def test_late_call_of_an_earlier_era_is_void(request: pytest.FixtureRequest, name: str, keys: Keys) -> None:
    session = "#oth-1#h0"
    with backend(request, name) as client:
        real = Real(client, keys)
        try:
            before = real.call(Beat(session, Era(), 0.0, joins=True), "h0").era
            client.delete(keys.vip_changes)
            now = real.call(Beat(session, before, 0.0, joins=True), "h0").era
            late: tuple[RedisCall, ...] = (
                Beat(session, before, 0.0, joins=False),
                StateHeld(session, before, ((VIPS[0], 1),)),
                Read(session, before, 0),
            )
            verdicts = [real.call(each, "h0").verdict for each in late]
            present = real.call(Beat(session, now, 0.0, joins=False), "h0").verdict
        finally:
            client.unlink(*client.scan_iter(f"{keys.tag}*", count=1000))
    assert now.number > before.number
    assert verdicts == [Verdict.REJOIN] * 3
    assert present is Verdict.OK


@pytest.mark.parametrize("name", ["fakeredis", "server"])
def test_nodes_words_are_read_everywhere_and_said_once(request: pytest.FixtureRequest, name: str, keys: Keys) -> None:
    with backend(request, name) as client:
        real = Real(client, keys)
        joined = real.call(Beat("#ec0-1#h0", Era(), 0.0, joins=True), "h0")
        try:
            numbers = [
                real.run(calls.say(keys, joined.era, *said))
                for said in (("@h0", "one"), ("@h0", "one"), ("!h1", "1"), ("@h0", "two"))
            ]
            page = real.call(Read("#ec0-1#h0", joined.era, 0), "h0")
        finally:
            client.unlink(*client.scan_iter(f"{keys.tag}*", count=1000))
    assert numbers == [1, 1, 2, 3]
    assert isinstance(page, Page)
    assert (page.upto, page.said) == (3, (("!h1", "1"), ("@h0", "two")))
