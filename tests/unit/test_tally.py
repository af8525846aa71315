"""The tally of refusals: each is counted, and few are logged."""

from eccmgr.tally import SAY_EVERY_S, Tally
from tests.logged import LogOf


def test_each_refusal_counts_and_few_are_logged(log_of: LogOf) -> None:
    lines = log_of("eccmgr.tally")
    now = [100.0]
    refused = Tally(lambda: now[0])
    for _ in range(1000):
        refused.note("too many connections", peer="pid 7")
    refused.note("broken frames")
    now[0] += SAY_EVERY_S
    refused.note("too many connections", peer="pid 8")
    assert [(line["reason"], line["times"], line.get("peer")) for line in lines] == [
        ("too many connections", 1, "pid 7"),
        ("broken frames", 1, None),
        ("too many connections", 1000, "pid 8"),
    ]
    assert str(refused) == "1 × broken frames, 1001 × too many connections"
