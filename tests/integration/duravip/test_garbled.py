"""Whatever becomes of the numbers of changes in Redis, every agent soon reads every statement and every record."""

import pytest

from eccmgr.duravip.records import Beaten, Page
from tests.integration.duravip.test_audit import EAST, WEST, Audited
from tests.integration.duravip.test_audit import audited as audited
from worker.duravip import calls
from worker.duravip.model.actions import Beat, Read

VIP = "10.0.0.1"
LOST = [None, -1, 0, 1e15, float("inf"), float("-inf")]


def lose(audited: Audited, name: str, number: float | None) -> None:
    """Take from `name` its number, or give it one that is none of ours."""
    client, key = audited.real.client, audited.real.keys.vip_changes
    if number is None:
        client.zrem(key, name)
    else:
        client.zadd(key, {name: number})


def say(audited: Audited, name: str, text: str) -> None:
    audited.real.run(calls.say(audited.real.keys, audited.era, name, text))


def read(audited: Audited, since: int = 0) -> Page:
    page = audited.real.call(Read(WEST, audited.era, since), "west1")
    assert isinstance(page, Page)
    return page


@pytest.mark.parametrize("number", LOST)
def test_a_repeated_statement_is_read_again(audited: Audited, number: float | None) -> None:
    say(audited, "@east1", "one")
    lose(audited, "@east1", number)
    assert read(audited).said == ()
    say(audited, "@east1", "one")
    assert read(audited).said == (("@east1", "one"),)


def test_statements_outlast_the_loss_of_their_numbers(audited: Audited) -> None:
    say(audited, "@east1", "one")
    audited.real.client.delete(audited.real.keys.vip_changes)
    audited.join(WEST)
    say(audited, "@east1", "one")
    assert read(audited).said == (("@east1", "one"),)


@pytest.mark.parametrize("number", LOST)
def test_a_holder_that_asks_again_is_read(audited: Audited, number: float | None) -> None:
    audited.grant(EAST, VIP)
    lose(audited, VIP, number)
    assert read(audited).records == ()
    audited.grant(EAST, VIP)
    assert [(name, record.owner) for name, record in read(audited).records] == [(VIP, EAST)]


def test_no_foreign_entry_hides_a_change(audited: Audited) -> None:
    say(audited, "@east1", "one")
    client, keys = audited.real.client, audited.real.keys
    client.zadd(keys.vip_changes, {f"zz{number}": number for number in range(100, 100 + 3 * calls.PAGE)})
    upto = read(audited).upto
    say(audited, "@west1", "two")
    assert read(audited, upto).said == (("@west1", "two"),)


@pytest.mark.parametrize("change", ["", "nan", "-1", "9" * 30, "9" * 15])
def test_garbled_numbers_begin_an_era(audited: Audited, change: str) -> None:
    say(audited, "@east1", "one")
    audited.real.client.hset(audited.real.keys.state, "change", change)
    say(audited, "@west1", "two")
    before = audited.era
    audited.join(WEST)
    assert audited.era.number > before.number
    for name, text in (("@east1", "one"), ("@west1", "two")):
        say(audited, name, text)
    assert set(read(audited).said) == {("@east1", "one"), ("@west1", "two")}


def test_a_session_is_never_late_for_ever(audited: Audited) -> None:
    client, keys = audited.real.client, audited.real.keys
    client.zadd(keys.late, {WEST: float("inf")})
    for _ in range(2):
        beaten = audited.real.call(Beat(EAST, audited.era, 0.0, joins=True), "east1")
    assert isinstance(beaten, Beaten)
    assert [late.session for late in beaten.late] == [WEST]
