"""The audit of the cluster has each change of a VIP's owner, with its reason."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from eccmgr.duravip.records import Beaten, Era, Granted, Verdict
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.duravip.test_scripts_agree import OPTIONS, Real
from worker.duravip.model.actions import Acquire, Beat, EndCarrying, Gift, OpenEra, Release, StateHeld, TakeOver, Wish

EAST, WEST = "#ec0-1#east1", "#ec0-2#West1"


@dataclass
class Audited:
    """Two nodes in an open era, and their entries in the audit."""

    real: Real
    era: Era

    def join(self, session: str) -> None:
        answer = self.real.call(Beat(session, self.era, 0.0, joins=True), "")
        assert isinstance(answer, Beaten)
        self.era = answer.era

    def grant(self, session: str, *vips: str, reason: str = "the fewest VIPs") -> Granted:
        asked = Acquire(session, self.era, tuple(Wish(vip, 4, reason, force=True) for vip in vips))
        answer = self.real.call(asked, "")
        assert isinstance(answer, Granted)
        return answer

    def entries(self) -> list[dict[str, str]]:
        found: Any = self.real.client.xrange(self.real.keys.audit)
        read = [{name.decode(): value.decode() for name, value in entry.items()} for _, entry in found]
        return [entry for entry in read if entry["what"] != "member"]


@pytest.fixture
def audited(redis_server: EmbeddedServer, cluster_keys: Keys) -> Iterator[Audited]:
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        made = Audited(Real(client, cluster_keys), Era())
        made.join(EAST)
        made.join(WEST)
        made.real.call(OpenEra(EAST, made.era), "")
        yield made


def vip(change: str, node: str, epoch: int, reason: str, **more: str) -> dict[str, str]:
    said = {"what": "vip", "change": change, "address": "10.0.0.1", "node": node, "epoch": str(epoch)}
    return {**said, "reason": reason, **more}


def test_move_is_a_targeted_release_and_a_grant(audited: Audited) -> None:
    audited.grant(EAST, "10.0.0.1")
    audited.real.call(Release(EAST, audited.era, (Gift("10.0.0.1", 5, "west1", "move"),)), "")
    audited.grant(WEST, "10.0.0.1", reason="move")
    assert audited.entries() == [
        vip("granted", "east1", 5, "the fewest VIPs", **{"from": ""}),
        vip("released", "east1", 5, "move", to="west1"),
        vip("granted", "West1", 6, "move", **{"from": ""}),
    ]


def test_takeover_names_ender_session_and_previous_holder(audited: Audited) -> None:
    audited.grant(EAST, "10.0.0.1")
    audited.real.call(TakeOver(WEST, audited.era, EAST, 1), "")
    audited.grant(WEST, "10.0.0.1")
    ended = {"what": "vip session", "change": "ended", "node": "east1", "session": EAST}
    assert audited.entries()[1:] == [
        {**ended, "reason": "taken over", "by": "West1"},
        vip("granted", "West1", 6, "the fewest VIPs", **{"from": "east1"}),
    ]


def test_session_ended_twice_is_audited_once(audited: Audited) -> None:
    for _ in range(2):
        audited.real.call(EndCarrying(EAST, audited.era), "")
    (entry,) = audited.entries()
    assert (entry["change"], entry["node"], entry["reason"]) == ("ended", "east1", "lost")


def test_statement_after_lost_memory_is_audited(audited: Audited) -> None:
    audited.real.client.delete(audited.real.keys.vips)
    audited.join(EAST)
    audited.real.call(StateHeld(EAST, audited.era, (("10.0.0.1", 9),)), "")
    assert audited.entries() == [vip("stated", "east1", 9, "stated", **{"from": ""})]


def test_what_changes_no_owner_is_not_audited(audited: Audited) -> None:
    audited.grant(EAST, "10.0.0.1")
    before = audited.entries()
    audited.grant(EAST, "10.0.0.1", reason="move")
    assert audited.grant(WEST, "10.0.0.1").epochs == (0,)
    refused = audited.real.call(Release("#ec0-3#other", audited.era, (Gift("10.0.0.1", 5, "", ""),)), "")
    assert refused.verdict is Verdict.REJOIN
    assert audited.entries() == before


def test_the_audit_does_not_outgrow_its_cap(audited: Audited) -> None:
    for batch in range(8):
        audited.grant(EAST, *(f"10.0.{batch}.{i}" for i in range(250)))
    assert OPTIONS.audit_cap <= len(audited.entries()) < OPTIONS.audit_cap + 300
