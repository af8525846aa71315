"""A process joins although its name seems to be taken, by a live holder or by one that has stopped, and stays a
member."""

import asyncio
from typing import Any

import pytest

from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.members import Identity, Role
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.session import Session
from eccmgr.errors import NameInUse, RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import ScriptCall

LEASE_MS = 2500


class Held(Link):
    """Redis as a joining process sees it, with its own time: a holder has the name, and renews or has stopped."""

    def __init__(self, every_ms: int | None) -> None:
        super().__init__("unix:///none.sock")
        self.now_ms, self.every_ms, self.asked = 0, every_ms, 0

    async def sleep(self, seconds: float) -> None:
        """Let time pass while the joining process sleeps."""
        self.now_ms += to_ms(seconds)

    async def run(self, call: ScriptCall[Any], **_: Any) -> Any:
        self.asked += 1
        assert self.asked < 1000, "it goes on asking"
        since_ms = self.now_ms % self.every_ms if self.every_ms else self.now_ms
        if since_ms < LEASE_MS:
            return call.answer([b"taken", b"#ec0-1#east1", str(LEASE_MS - since_ms).encode()])
        return call.answer([b"joined", b"7", b"0", b"0-0", [], b"1"])


def joining(held: Held, monkeypatch: pytest.MonkeyPatch, heartbeats_per_sec: float = 2.0) -> Heartbeats:
    monkeypatch.setattr(asyncio, "sleep", held.sleep)
    options = ClusterOptions(session_lease_s=LEASE_MS / 1000, heartbeats_per_sec=heartbeats_per_sec)
    return heartbeats_over(held, options)


def heartbeats_over(link: Link, options: ClusterOptions) -> Heartbeats:
    session = Session(link, Keys("c"), options, Identity(Role.NODE, "east1"))
    return Heartbeats(link, Keys("c"), options, session)


@pytest.mark.asyncio
@pytest.mark.parametrize("heartbeats_per_sec", [0.5, 1.0, 2.0, 10.0, 100.0])
async def test_renewing_holder_is_found_out_however_often(
    monkeypatch: pytest.MonkeyPatch, heartbeats_per_sec: float
) -> None:
    held = Held(round(1000 / heartbeats_per_sec))
    with pytest.raises(NameInUse, match=r"^Node name 'east1' is in use by #ec0-1#east1, which is alive; stop it"):
        await joining(held, monkeypatch, heartbeats_per_sec).join()


@pytest.mark.asyncio
async def test_stopped_holder_is_awaited_until_its_lease_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = Held(None)
    heartbeats = joining(held, monkeypatch)
    await heartbeats.join()
    assert heartbeats.session.joined.is_set()
    assert held.now_ms >= LEASE_MS


class Away(Held):
    """Redis does not answer."""

    def __init__(self) -> None:
        super().__init__(None)
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == 100:
            raise asyncio.CancelledError

    async def run(self, call: ScriptCall[Any], **_: Any) -> Any:
        raise RedisUnreachable("Redis is not reachable")


@pytest.mark.asyncio
@pytest.mark.parametrize("heartbeats_per_sec", [0.2, 2.0, 10.0])
async def test_silent_redis_is_polled_at_the_usual_rate(
    monkeypatch: pytest.MonkeyPatch, heartbeats_per_sec: float
) -> None:
    away = Away()
    with pytest.raises(asyncio.CancelledError):
        await joining(away, monkeypatch, heartbeats_per_sec)._renew_forever()
    longest_s = min(1.0, 1 / heartbeats_per_sec)
    # When Redis is back, another member's heartbeat has started the lease clock again. The last one to ask still has
    # lease left.
    assert 0.9 * longest_s < max(away.pauses) <= 1.5 * longest_s
    assert away.pauses[0] <= 1.5 * 0.1


@pytest.mark.asyncio
async def test_a_member_does_not_join_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(None)
    heartbeats = joining(held, monkeypatch)
    await heartbeats.join()
    private, asked = heartbeats.session.private_name, held.asked
    await heartbeats.join()
    assert (heartbeats.session.private_name, held.asked) == (private, asked)


class Blinking(Link):
    """Redis is away for one heartbeat. Sleeps between two calls are noted, and take no time."""

    def __init__(self) -> None:
        super().__init__("unix:///none.sock")
        self.slept_s, self.before_s = 0.0, list[float]()
        self.enough = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    async def run(self, call: ScriptCall[Any], **_: Any) -> Any:
        if call.script == "join":
            return call.answer([b"joined", b"1", b"0", b"0-0", [], b"1"])
        self.before_s.append(self.slept_s)
        self.slept_s = 0.0
        if len(self.before_s) == 2:
            raise RedisUnreachable("Redis is not reachable: it blinks")
        if len(self.before_s) == 3:
            self.enough.set()
            await asyncio.Event().wait()
        return call.answer([b"renewed", b"1", b"0", [], b"", 0, b"1", [], b""])


@pytest.mark.asyncio
async def test_undelivered_heartbeat_is_repeated_before_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blinking = Blinking()
    monkeypatch.setattr(asyncio, "sleep", blinking.sleep)
    running = asyncio.create_task(heartbeats_over(blinking, ClusterOptions(heartbeats_per_sec=0.1)).run())
    enough = asyncio.create_task(blinking.enough.wait())
    await asyncio.wait((running, enough), return_when=asyncio.FIRST_COMPLETED)
    enough.cancel()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    _, between, after_failure = blinking.before_s
    assert after_failure < 1 < between
