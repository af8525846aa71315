"""What is to happen in one round: commands and faults, drawn from a seed. Pure: the same seed draws the same round."""

import enum
import random
from dataclasses import dataclass

NODES = {"east1": "east", "east2": "east", "west1": "west", "west2": "west"}
"""The nodes, and the subcluster of each."""
MANAGERS = ("barca", "roma")
_SPAN_S = 1.5
"""In this time, from the round's beginning, commands are sent and faults begin."""

_WITH_THE_SERVER = 0.5
"""How often the server itself fails in a round."""


class Kind(enum.StrEnum):
    """What goes wrong."""

    KILL = "kill"
    """A process is killed, and started again after a while."""
    STOP = "stop"
    """A process is stopped and continued."""
    END = "end"
    """A process is told to end, and started again after a while."""
    KILL_AT = "kill at"
    """A process is killed at a point of a command's life: as it calls a script, or as the answer is due."""
    STOP_AT = "stop at"
    RESET_AT = "reset at"
    """A call, or its answer, is lost with its connection."""
    RESET = "reset"
    """A process loses its connections."""
    STALL = "stall"
    """Nothing passes between a process and Redis for a while."""
    DELAY = "delay"
    HALF_OPEN = "half-open"
    """What is said on a process's connections is swallowed."""
    DEAF = "deaf"
    """A process's subscription hears nothing, while its other connections live."""
    REJOIN = "rejoin"
    """A node is told to leave and join anew."""
    DUPLICATE = "duplicate"
    """Messages are published once more, as they were."""
    SERVER_STOP = "server stop"
    SERVER_BACK = "server killed, back as it was"
    SERVER_PAST = "server killed, back as it was a while ago"
    SERVER_EMPTY = "server killed, back empty"


_OF_THE_SERVER = (Kind.SERVER_STOP, Kind.SERVER_BACK, Kind.SERVER_PAST, Kind.SERVER_EMPTY)
# What puts the server back a while makes it forget what everybody else remembers: the hardest of the four.
_WEIGHTS = (2, 2, 3, 2)
_AT_A_POINT = (Kind.KILL_AT, Kind.STOP_AT, Kind.RESET_AT)


@dataclass(frozen=True)
class Fault:
    """`kind` befalls `victim` ("" for nobody in particular) `at_s` after the round's beginning, for `for_s`.

    At a point of a command's life: the call of `script`, `after` it was carried out or before.
    """

    at_s: float
    kind: Kind
    victim: str
    for_s: float
    script: str = ""
    after: bool = False

    def __str__(self) -> str:
        point = f" {'after' if self.after else 'before'} {self.script}" if self.script else ""
        return f"{self.at_s:.2f} s {self.kind}{point} {self.victim} for {self.for_s:.2f} s"


@dataclass(frozen=True)
class Order:
    """A command to give: what a console says to `manager`, `at_s` after the round's beginning.

    With `abort_after_s` it is withdrawn so long after its answer, by way of `abort_by`. A `rolling` one goes out in
    batches.
    """

    at_s: float
    manager: str
    token: str
    line: str
    rolling: bool = False
    abort_after_s: float | None = None
    abort_by: str = ""


@dataclass(frozen=True)
class Round:
    """All that happens in one round."""

    orders: tuple[Order, ...]
    faults: tuple[Fault, ...]


def draw(seed: str, number: int, faults: int) -> Round:
    """Round `number` of the run with `seed`, with so many faults."""
    chance = random.Random(f"{seed}/{number}")
    size = chance.choice((10, 30, 60, 100, 200))
    drawn = [_fault(chance) for _ in range(faults)]
    if chance.random() < _WITH_THE_SERVER:
        # One in a round: more would leave no time for anything to happen between them.
        drawn[0] = Fault(drawn[0].at_s, chance.choices(_OF_THE_SERVER, _WEIGHTS)[0], "", drawn[0].for_s)
    drawn.sort(key=lambda fault: fault.at_s)
    orders = sorted((_order(chance, f"{number}-{i}") for i in range(size)), key=lambda order: order.at_s)
    return Round(tuple(orders), tuple(drawn))


def _fault(chance: random.Random) -> Fault:
    kind = chance.choice([kind for kind in Kind if kind not in _OF_THE_SERVER])
    at_s, for_s = chance.uniform(0, _SPAN_S), chance.choice((0.05, 0.3, 0.8, 1.5, 2.5)) * chance.uniform(0.5, 1.5)
    if kind is Kind.DUPLICATE:
        return Fault(at_s, kind, "", for_s)
    victim = chance.choice((*NODES, *NODES, *MANAGERS) if kind is not Kind.REJOIN else tuple(NODES))
    if kind not in _AT_A_POINT:
        return Fault(at_s, kind, victim, for_s)
    scripts = ("publish", "publish", "release", "abort") if victim in MANAGERS else ("claim", "respond")
    return Fault(at_s, kind, victim, for_s, chance.choice(scripts), chance.random() < 0.5)


def _order(chance: random.Random, token: str) -> Order:
    what = f"mark {token} {chance.choice((0, 0, 5, 20, 100, 300))}"
    node, subcluster = chance.choice(list(NODES.items()))
    at_s, manager = chance.uniform(0, _SPAN_S), chance.choice(MANAGERS)
    form = chance.random()
    if form < 0.2:
        target = chance.choice(("@all", f"@{subcluster}", node, ",".join(chance.sample(list(NODES), 2))))
        batch = f"--batch {chance.choice((1, 2))} " if form < 0.1 else ""
        return Order(at_s, manager, token, f"json gather --timeout 3 {batch}{target} {what}", rolling=bool(batch))
    verb = chance.choice(("broadcast", "broadcast", f"subcluster broadcast {subcluster}", f"unicast {node}"))
    line = f"json {verb} {what}"
    if form < 0.35:
        after_s = chance.choice((0.0, 0.02, 0.1, 0.3))
        return Order(at_s, manager, token, line, abort_after_s=after_s, abort_by=chance.choice(MANAGERS))
    return Order(at_s, manager, token, line)
