"""The log has an agent's decisions in words."""

import pytest

from eccmgr.duravip.records import Era
from worker.duravip.model import actions as act
from worker.duravip.model.telling import told

ERA = Era(7, "memory")
HELD = (("10.1.1.1", 4), ("10.1.1.2", 1))
HOLD = "10.1.1.1 (epoch 4), 10.1.1.2 (epoch 1)"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (act.Beat("#a", ERA, 1.0, joins=True), "begin session #a"),
        (act.Beat("#a", ERA, 1.0, joins=False), "renew session #a"),
        (act.StateHeld("#a", ERA, HELD), f"state to Redis the VIPs held here: {HOLD}"),
        (act.StateHeld("#a", ERA, ()), "state to Redis the VIPs held here: nothing"),
        (act.OpenEra("#a", ERA), "open era 7: every holder has stated its VIPs"),
        (act.TakeOver("#a", ERA, "#b", 12), "end session #b, which has not renewed since counter 12"),
        (
            act.Acquire("#a", ERA, (act.Wish("10.1.1.1", 3, "preferred"), act.Wish("10.1.1.2", 0, "", force=True))),
            "ask for 10.1.1.1 (above epoch 3: preferred), 10.1.1.2 (above epoch 0, even if it is reserved)",
        ),
        (
            act.Release("#a", ERA, (act.Gift("10.1.1.1", 4, "west1", "moved"),)),
            "give up 10.1.1.1 for west1 (epoch 4: moved)",
        ),
        (act.Read("#a", ERA, 9), "read the changes after change 9"),
        (act.EndCarrying("#a", ERA), "end session #a: nothing is plumbed under it"),
        (act.Extend("#a", 101.5, ERA), "the guardian may hold its VIPs for 1.50 s"),
        (act.TellPlumb("#a", 101.0, HELD), f"plumb {HOLD}, within 1.00 s"),
        (act.TellUnplumb(3, HELD), f"unplumb {HOLD}"),
        (act.ReplaceGuardian(), "start another guardian: this one confirms nothing"),
    ],
)
def test_a_decision_is_told_in_words(action: act.Action, words: str) -> None:
    assert told(action, 100.0) == words


def test_of_many_vips_the_first_are_named() -> None:
    words = told(act.TellUnplumb(1, tuple((f"10.1.1.{i}", 1) for i in range(25))), 0.0)
    assert words.endswith("10.1.1.9 (epoch 1), and 15 more")
