"""Sessions and commands in any order of events, compared with a model that knows the time."""

import uuid
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from eccmgr.redis.keys import Keys
from tests.fake_server import FakeRedis
from tests.integration.scripts.cluster import MINUTE_MS, Cluster, Life

NAMES = st.sampled_from(["east1", "EAST1", "east1.example.com"])
HOUR_MS = 60 * MINUTE_MS
STEP_MS = 700


@dataclass
class Sending:
    """The model's knowledge of one command."""

    id: str
    expires_ms: int
    expected: dict[str, str]
    """Node in small letters → the private name that is asked; "" for a node that was lost before."""
    claimed: dict[str, str] = field(default_factory=dict)
    """Node → the session that claimed it."""
    answered: dict[str, str] = field(default_factory=dict)
    """Node → the state in its answer."""


class Leases(RuleBasedStateMachine):
    """The scripts, and a model of their promises."""

    client: "redis.Redis"

    lives = Bundle("lives")
    commands = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster(self.client, Keys(f"t{uuid.uuid4().hex[:12]}"), results_ttl_ms=1000 * HOUR_MS)
        self.cluster.roster()
        self.clock = self.cluster.clock
        self.view = 0
        self.ends: dict[str, int] = {}
        """Private name → the end of its session, without the sessions that were ended."""
        self.holders: dict[str, str] = {}
        """Node → the private name of its last join."""
        self.sent: list[Sending] = []

    def alive(self, private: str) -> bool:
        return self.ends.get(private, 0) > self.clock

    @rule(target=lives, name=NAMES)
    def join(self, name: str) -> object:
        holder = self.holders.get(name.lower(), "")
        answer = self.cluster.try_join(name)
        if self.alive(holder):
            assert answer[:2] == [b"taken", holder.encode()]
            return multiple()
        assert answer[0] == b"joined"
        life = Life(f"#ec0-{self.cluster._lives}#{name}", name, int(answer[1]))
        self.ends[life.private] = self.clock + self.cluster.lease_ms
        self.holders[name.lower()] = life.private
        return life

    @rule(target=lives, life=consumes(lives))
    def reset(self, life: Life) -> object:
        key, was_alive = life.name.lower(), self.alive(life.private)
        holder = self.holders[key]
        answer = self.cluster.try_join(life.name, replaces=life.private)
        if self.alive(holder) and holder != life.private:
            assert answer[0] == b"taken"
            return life
        assert answer[0] == b"joined"
        new = Life(f"#ec0-{self.cluster._lives}#{life.name}", life.name, int(answer[1]))
        if was_alive:
            del self.ends[life.private]
        self.ends[new.private] = self.clock + self.cluster.lease_ms
        self.holders[key] = new.private
        return new

    @rule(life=lives)
    def renew(self, life: Life) -> None:
        alive = self.alive(life.private)
        assert self.cluster.renews(life) == alive
        if alive:
            self.ends[life.private] = self.clock + self.cluster.lease_ms

    @rule(life=lives)
    def leave(self, life: Life) -> None:
        alive = self.alive(life.private)
        verdict = self.cluster.leave(life)
        assert verdict == "left" or not alive
        self.ends.pop(life.private, None)

    @rule(ms=st.sampled_from([1, 600, 1900, 2499, 2500, MINUTE_MS]))
    def time_passes(self, ms: int) -> None:
        self.cluster.pass_time(ms)
        self.clock += ms

    @rule(forward=st.booleans())
    def wall_clock_is_stepped(self, forward: bool) -> None:
        self.cluster.max_step_ms = STEP_MS
        self.cluster.step_wall_clock(HOUR_MS if forward else -HOUR_MS)
        self.cluster.roster()
        self.cluster.max_step_ms = 0
        self.clock += STEP_MS if forward else 0

    @rule()
    def sweep(self) -> None:
        self.cluster.sweep()
        assert self.cluster.view.sessions >= {private for private in self.ends if self.alive(private)}

    @rule(target=commands)
    def publish(self) -> object:
        alive = {node: private for node, private in self.holders.items() if self.alive(private)}
        answer = self.cluster.try_publish()
        if not alive:
            assert answer[0] == b"nobody"
            return multiple()
        assert answer[0] == b"sent"
        view = self.cluster.view
        assert {seat.key: seat.private_name for seat in view.live.values()} == alive
        expected = alive | dict.fromkeys(view.absent, "")
        sending = Sending(f"{self.cluster._ids:012}", self.clock + self.cluster.command_ttl_ms, expected)
        self.sent.append(sending)
        return sending

    @rule(life=lives, sending=commands)
    def claim(self, life: Life, sending: Sending) -> None:
        key = life.name.lower()
        verdict = self.cluster.claim(life, sending.id)
        may = (
            self.alive(life.private)
            and sending.expected.get(key) == life.private
            and self.clock < sending.expires_ms
            and key not in sending.claimed
            and key not in sending.answered
        )
        assert (verdict == "claimed") == may, verdict
        if may:
            sending.claimed[key] = life.private

    @rule(life=lives, sending=commands, state=st.sampled_from(["ok", "failed", "refused"]))
    def respond(self, life: Life, sending: Sending, state: str) -> None:
        key = life.name.lower()
        verdict = self.cluster.respond(life, sending.id, state=state)
        if key in sending.answered or key in sending.claimed:
            may = sending.claimed.get(key, sending.expected.get(key)) == life.private
        else:
            may = life.private == sending.expected.get(key) and self.clock < sending.expires_ms
        if may:
            assert verdict == "kept"
            sending.answered.setdefault(key, state)
        elif sending.expected.get(key) not in ("", None):
            assert verdict != "kept"

    @invariant()
    def the_lease_clock_is_as_reckoned(self) -> None:
        assert self.cluster.clock == self.clock

    @invariant()
    def the_view_never_falls(self) -> None:
        number = self.cluster.view.number
        assert number >= self.view
        self.view = number

    @invariant()
    def a_node_has_at_most_one_session(self) -> None:
        found = self.cluster.redis.zrangebyscore(self.cluster.keys.sessions, f"({self.clock}", "+inf")
        nodes = [private.decode().rpartition("#")[2].lower() for private in found]  # type: ignore[union-attr]
        assert len(set(nodes)) == len(nodes)
        assert {private.decode() for private in found} == {p for p in self.ends if self.alive(p)}  # type: ignore[union-attr]

    @invariant()
    def every_expected_node_is_accounted_for_and_an_answer_stands(self) -> None:
        for sending in self.sent:
            states = {node.lower(): state for node, state in self.cluster.states(sending.id).items()}
            assert states.keys() == sending.expected.keys()
            for node, private in sending.expected.items():
                if private:
                    assert states[node] == sending.answered.get(node, states[node])
                    assert node in sending.answered or states[node] in ("pending", "running", "lost", "missed")
                else:
                    assert states[node] == "absent"

    def teardown(self) -> None:
        immortal = self.cluster.immortal()
        self.client.unlink(*self.client.scan_iter(f"{self.cluster.keys.tag}*", count=1000))
        assert not immortal


@pytest.mark.parametrize(("backend", "examples"), [("fakeredis", 10), ("server", 50)])
def test_whatever_happens_in_whatever_order(request: pytest.FixtureRequest, backend: str, examples: int) -> None:
    if backend == "fakeredis":
        made = FakeRedis()
    else:
        made = redis.Redis(unix_socket_path=str(request.getfixturevalue("redis_server").socket))
    with made:
        machine = type("LeasesHere", (Leases,), {"client": made})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
