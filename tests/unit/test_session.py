"""How a process joins where its name seems to be taken: by a live holder, or by one that has stopped renewing."""

import asyncio
from typing import Any

import pytest

from eccmgr.cluster.members import Role
from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.session import Identity, Session
from eccmgr.errors import NameInUse
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

LEASE_MS = 2500


class Held(Link):
    """Redis as the one who joins sees it, in a time of its own: a holder has the name, and renews or has stopped."""

    def __init__(self, every_ms: int | None) -> None:
        super().__init__("unix:///none.sock")
        self.now_ms, self.every_ms, self.asked = 0, every_ms, 0

    async def sleep(self, seconds: float) -> None:
        """Time passes while the one who joins sleeps."""
        self.now_ms += to_ms(seconds)

    async def run(self, name: str, *_: Any, **__: Any) -> Any:
        self.asked += 1
        assert self.asked < 1000, "it goes on asking"
        since_ms = self.now_ms % self.every_ms if self.every_ms else self.now_ms
        if since_ms < LEASE_MS:
            return [b"taken", b"#ec0-1#east1", str(LEASE_MS - since_ms).encode()]
        return [b"joined", b"7", b"0", b"0-0"]


def joining(held: Held, monkeypatch: pytest.MonkeyPatch, heartbeats_per_sec: float = 2.0) -> Session:
    monkeypatch.setattr(asyncio, "sleep", held.sleep)
    options = ClusterOptions(session_lease_s=LEASE_MS / 1000, heartbeats_per_sec=heartbeats_per_sec)
    return Session(held, Keys("c"), options, Identity(Role.NODE, "east1"))


@pytest.mark.asyncio
@pytest.mark.parametrize("heartbeats_per_sec", [0.5, 1.0, 2.0, 10.0, 100.0])
async def test_a_holder_that_renews_is_found_out_however_often_it_does(
    monkeypatch: pytest.MonkeyPatch, heartbeats_per_sec: float
) -> None:
    held = Held(round(1000 / heartbeats_per_sec))
    with pytest.raises(NameInUse, match=r"^Node name 'east1' is in use by #ec0-1#east1, which is alive; stop it"):
        await joining(held, monkeypatch, heartbeats_per_sec).join()


@pytest.mark.asyncio
async def test_a_holder_that_has_stopped_is_waited_for_until_its_lease_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = Held(None)
    session = joining(held, monkeypatch)
    await session.join()
    assert session.joined.is_set()
    assert held.now_ms >= LEASE_MS


@pytest.mark.asyncio
async def test_a_member_does_not_join_again(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(None)
    session = joining(held, monkeypatch)
    await session.join()
    private, asked = session.private_name, held.asked
    await session.join()
    assert (session.private_name, held.asked) == (private, asked)
