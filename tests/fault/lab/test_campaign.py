"""A draw can be repeated, and the table shows the outcomes."""

import random
from dataclasses import replace
from itertools import islice

import pytest

from tests.fault.lab.campaign import Campaign, drawn, more_faults, refusals, table_faults
from tests.fault.lab.nodes import FAST, USUAL
from tests.fault.lab.redis_faults import Refused
from tests.fault.lab.scene import Outcome
from tests.fault.lab.table import markdown, rows
from tests.fault.vetoes import Veto

SEEN = Outcome(
    "link down", "east1", 2000.0, 1990.0, 1980.0, 0.0, 0, None, 20.0, ended=True, pause=11.0, away=None, others=12.0
)


@pytest.mark.parametrize(("steps_clocks", "kinds"), [(True, 13), (False, 12)])
def test_a_seed_draws_the_same_faults_again(steps_clocks: bool, kinds: int) -> None:
    first, again, other = (
        [*islice(drawn(random.Random(seed), steps_clocks=steps_clocks), 200)] for seed in ("a", "a", "b")
    )
    assert first == again != other
    assert len({type(fault) for fault in first}) == kinds


def test_all_faults_of_a_table_have_different_names() -> None:
    for profile in (USUAL, FAST):
        names = [fault.name for fault in table_faults(profile)]
        assert len(names) == len(set(names))
        assert not {fault.name for fault in more_faults(profile)} & set(names)
        assert not {fault.name for fault in refusals(profile)} & set(names)


def test_redis_refuses_in_every_way_and_length() -> None:
    for profile in (USUAL, FAST):
        found = [fault for fault in refusals(profile) if isinstance(fault, Refused)]
        assert {(fault.veto, fault.for_s < fault.bearable_s) for fault in found} == {
            (veto, short) for veto in Veto for short in (True, False)
        }


def test_noticed_fault_that_should_go_unnoticed_is_broken() -> None:
    seen = replace(SEEN, kernels=1500.0)
    campaign = Campaign("x", [seen, replace(seen, unnoticed=True), replace(seen, kernels=90.0, unnoticed=True)])
    assert campaign.broken() == [campaign.outcomes[1]]


def test_row_has_least_median_and_most() -> None:
    seen = [replace(SEEN, outage=outage) for outage in (2100.0, 1900.0, 2000.0)]
    assert rows(seen) == [
        ("link down", "3", "1.90 / 2.00 / 2.10", "1.99 / 1.99 / 1.99", "none", "–", "0.02 / 0.02 / 0.02")
    ]


def test_two_holders_are_told_even_without_overlap() -> None:
    (row,) = rows([SEEN, replace(SEEN, twice=1), replace(SEEN, overlap=3000.0, twice=300)])
    assert row[4] == "2 of 3, 0.00 / 1.50 / 3.00"


def test_what_did_not_end_is_told() -> None:
    (row,) = rows([SEEN, replace(SEEN, ended=False, taken=None)])
    assert row[6].endswith("; 1 not ended")
    assert rows([replace(SEEN, taken=None)])[0][3] == "–"


def test_the_table_is_one_of_markdown() -> None:
    head, rule, line = markdown([SEEN]).splitlines()
    assert head.count("|") == rule.count("|") == line.count("|")


def test_time_after_the_return_of_redis_has_column() -> None:
    (row,) = rows([replace(SEEN, recovery=recovery) for recovery in (100.0, 300.0)])
    assert row[5] == "0.10 / 0.20 / 0.30"
