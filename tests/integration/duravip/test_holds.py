"""Since when a VIP is held, and by whom before: kept beside its record, for showing alone."""

from eccmgr.duravip.holds import Hold
from tests.integration.duravip.test_audit import EAST, WEST, Audited
from tests.integration.duravip.test_audit import audited as audited
from worker.duravip.model.actions import Gift, Release, StateHeld

VIP = "10.0.0.1"


def hold(audited: Audited) -> Hold:
    """What is kept of the VIP."""
    kept = audited.real.client.hget(audited.real.keys.vip_holds, VIP)
    assert isinstance(kept, bytes)
    return Hold.parse(kept)


def test_a_grant_keeps_the_holder_before(audited: Audited) -> None:
    audited.grant(EAST, VIP)
    assert (hold(audited).epoch, hold(audited).node, hold(audited).before) == (5, "east1", "")
    audited.real.call(Release(EAST, audited.era, (Gift(VIP, 5, "west1", "move"),)), "")
    audited.grant(WEST, VIP, reason="move")
    assert (hold(audited).epoch, hold(audited).node, hold(audited).before) == (6, "West1", "east1")
    assert audited.real.client.pttl(audited.real.keys.vip_holds) > 0


def test_asking_again_and_stating_keep_the_time(audited: Audited) -> None:
    audited.grant(EAST, VIP)
    first = hold(audited)
    audited.grant(EAST, VIP)
    assert hold(audited) == first
    audited.real.client.delete(audited.real.keys.vips)
    audited.join(EAST)
    audited.real.call(StateHeld(EAST, audited.era, ((VIP, 9),)), "")
    assert hold(audited) == Hold(9, first.since_ms, "east1", "")


def test_no_key_for_showing_stops_a_grant(audited: Audited) -> None:
    audited.real.client.set(audited.real.keys.vip_holds, "not ours", px=60_000)
    assert audited.grant(EAST, VIP).epochs == (5,)
