"""Plans a round: commands and faults, drawn from a seed. Pure: the same seed draws the same round."""

import enum
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.fault.vetoes import REAL, Veto

NODES = {"east1": "east", "east2": "east", "west1": "west", "west2": "west"}
"""The nodes, and the subcluster of each."""
MANAGERS = ("barca", "roma")
_SPAN_S = 4.0
"""Commands are sent and faults begin within this time from the round's beginning."""
_TRAPS_S = 3.0
"""Faults that wait for a point of a command's life begin within this time."""

_WITH_THE_SERVER = 0.5
"""The share of rounds in which the server itself fails."""


class Kind(enum.StrEnum):
    """The kinds of faults."""

    KILL = "kill"
    """A process is killed, and started again after a while."""
    STOP = "stop"
    """A process is stopped and continued."""
    END = "end"
    """A process is told to end, and started again after a while."""
    KILL_AT = "kill at"
    """A process is killed at a point of a command's life: see `Moment`."""
    STOP_AT = "stop at"
    RESET_AT = "reset at"
    """A call, or its answer, is lost with its connection."""
    REFUSE_AT = "refuse at"
    """Redis refuses from a point of a command's life on."""
    REFUSE = "refuse"
    """Redis refuses for a while: see `Veto`."""
    RESET = "reset"
    """A process loses its connections."""
    STALL = "stall"
    """Nothing passes between a process and Redis for a while."""
    DELAY = "delay"
    HALF_OPEN = "half-open"
    """The data on a process's connections is swallowed."""
    DEAF = "deaf"
    """A process's subscription hears nothing, while its other connections live."""
    REJOIN = "rejoin"
    """A node is told to leave and join anew."""
    DUPLICATE = "duplicate"
    """Messages are published again, unchanged."""
    SERVER_SLOW = "server slow"
    """All data between the processes and Redis is delayed."""
    SERVER_STOP = "server stop"
    SERVER_BACK = "server killed, back as it was"
    SERVER_PAST = "server killed, back as it was a while ago"
    SERVER_EMPTY = "server killed, back empty"


class Moment(enum.StrEnum):
    """The point in a script's call at which a fault strikes."""

    BEFORE = "before"
    """The server does not see the call."""
    AFTER = "after"
    """The script ran, and its caller does not learn of it."""
    LATER = "while at work after"
    """The caller has the answer, and works with it."""


OF_NODES = ("claim", "respond")
_MORE_OF_NODES, _MORE_OF_MANAGERS = ("renew", "catchup"), ("results",)
"""Further scripts; their refusal may affect a command."""
OF_MANAGERS = ("publish", "collect", "release", "abort")
"""The scripts of a command's life, on either side."""

_OF_THE_SERVER = (Kind.SERVER_SLOW, Kind.SERVER_STOP, Kind.SERVER_BACK, Kind.SERVER_PAST, Kind.SERVER_EMPTY)
# These are the hardest faults: a server that comes back with old data has forgotten facts that all others remember.
_WEIGHTS = (2, 2, 2, 3, 2)
_AT_A_POINT = (Kind.KILL_AT, Kind.STOP_AT, Kind.RESET_AT)
_AT_ANY_TIME = [kind for kind in Kind if kind not in (*_OF_THE_SERVER, *_AT_A_POINT, Kind.REFUSE_AT)]
POINTS: tuple[tuple[Kind, str, Moment, Veto | None], ...] = (
    *itertools.product(_AT_A_POINT, (*OF_NODES, *OF_MANAGERS), Moment, (None,)),
    *itertools.product((Kind.REFUSE_AT,), (*OF_NODES, *_MORE_OF_NODES, *OF_MANAGERS, *_MORE_OF_MANAGERS), Moment, Veto),
)
"""The faults that may strike at each point; a long run reaches each of them."""
_SOON_S = (0.1, 0.8)
"""Commands with the awaited call are given after this time."""
_PATIENT_EACH = 8
"""One round in this many is patient."""
_PATIENT_SPAN_S = 0.8
"""The time for which commands are sent, for each fault."""
_PATIENT_FOR_S = (0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Fault:
    """A fault: `kind` strikes `victim` ("" for no particular one) `at_s` after the round's beginning, and lasts
    `for_s`.

    For a point of a command's life: the call of `script`, and the moment in that call.
    """

    at_s: float
    kind: Kind
    victim: str
    for_s: float
    script: str = ""
    moment: Moment = Moment.BEFORE
    veto: Veto | None = None
    """The refusal of Redis, if it refuses."""

    @property
    def name(self) -> str:
        """The name of the fault, without its victim."""
        what = f"{self.kind.removesuffix(' at')} {self.veto}" if self.veto else self.kind.removesuffix(" at")
        return f"{what} {self.moment} {self.script}" if self.script else what

    def __str__(self) -> str:
        return f"{self.at_s:.2f} s {self.name} {self.victim} for {self.for_s:.2f} s"


@dataclass(frozen=True)
class Order:
    """A command that a console gives to `manager`, `at_s` after the round's beginning.

    With `abort_after_s` it is withdrawn that long after its answer, through the manager `abort_by`. A `rolling` one
    goes out in batches.
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
    """The plan of one round."""

    orders: tuple[Order, ...]
    faults: tuple[Fault, ...]
    patient: bool = False
    """Whether Redis only refuses repeatedly, each time for less than a lease, so that no node is lost."""


def draw(seed: str, number: int, faults: int) -> Round:
    """Draw round `number` of the run with `seed`, with a number of faults."""
    chance = random.Random(f"{seed}/{number}")
    size = chance.choice((10, 30, 60, 100, 200))
    if number % _PATIENT_EACH == _PATIENT_EACH - 1:
        return _patient(chance, number, size, faults)
    at_points, before = faults // 2, number - number // _PATIENT_EACH
    points = itertools.islice(_points(seed), before * at_points, (before + 1) * at_points)
    drawn = [_at_a_point(chance, *point) for point in points]
    drawn += [_at_any_time(chance) for _ in range(faults - at_points)]
    if chance.random() < _WITH_THE_SERVER:
        # At most one in a round: more would leave no time between them.
        drawn[-1] = Fault(drawn[-1].at_s, chance.choices(_OF_THE_SERVER, _WEIGHTS)[0], "", drawn[-1].for_s)
    drawn.sort(key=lambda fault: fault.at_s)
    orders = [_order(chance, f"{number}-{i}") for i in range(size)]
    trapped = [(fault, after_s) for fault in drawn if fault.script for after_s in _SOON_S]
    orders += [_provoking(*each, f"{number}-p{i}") for i, each in enumerate(trapped)]
    return Round(tuple(sorted(orders, key=lambda order: order.at_s)), tuple(drawn))


def _patient(chance: random.Random, number: int, size: int, faults: int) -> Round:
    drawn = []
    at_points = [point for point in POINTS if point[0] is Kind.REFUSE_AT]
    for _ in range(faults):
        for_s = chance.choice(_PATIENT_FOR_S)
        if chance.random() < 0.5:
            drawn.append(replace(_at_a_point(chance, *chance.choice(at_points)), for_s=for_s))
        else:
            drawn.append(replace(_refusal(chance, 0.0), for_s=for_s))
    span_s = faults * _PATIENT_SPAN_S
    orders = sorted((_order(chance, f"{number}-{i}", span_s) for i in range(size)), key=lambda order: order.at_s)
    return Round(tuple(orders), tuple(drawn), patient=True)


def _points(seed: str) -> Iterator[tuple[Kind, str, Moment, Veto | None]]:
    """Yield all points again and again, in an order that depends on the seed."""
    shuffled = list(POINTS)
    random.Random(seed).shuffle(shuffled)
    return itertools.cycle(shuffled)


def _at_a_point(chance: random.Random, kind: Kind, script: str, moment: Moment, veto: Veto | None) -> Fault:
    victim = chance.choice(tuple(NODES) if script in (*OF_NODES, *_MORE_OF_NODES) else MANAGERS)
    for_s = _refused_s(chance) if kind is Kind.REFUSE_AT else _duration_s(chance)
    return Fault(chance.uniform(0, _TRAPS_S), kind, victim, for_s, script, moment, veto)


def _provoking(fault: Fault, after_s: float, token: str) -> Order:
    """A command whose life includes the call that a fault waits for."""
    at_s, what = fault.at_s + after_s, f"mark {token} 20"
    if fault.script in (*OF_NODES, *_MORE_OF_NODES):
        return Order(at_s, MANAGERS[after_s == _SOON_S[0]], token, f"json unicast {fault.victim} {what}")
    match fault.script:
        case "abort" | "results":
            return Order(at_s, fault.victim, token, f"json broadcast {what}", abort_after_s=0.0, abort_by=fault.victim)
        case "collect" | "release":
            return Order(at_s, fault.victim, token, f"json gather --timeout 3 --batch 1 @all {what}", rolling=True)
    return Order(at_s, fault.victim, token, f"json broadcast {what}")


def _refusal(chance: random.Random, at_s: float) -> Fault:
    """A refusal by the server, for all processes, or by the proxy, for one process or for all."""
    veto = chance.choice(tuple(Veto))
    victim = "" if veto in REAL or chance.random() < 0.3 else chance.choice((*NODES, *MANAGERS))
    return Fault(at_s, Kind.REFUSE, victim, _refused_s(chance), veto=veto)


def _at_any_time(chance: random.Random) -> Fault:
    kind, at_s = chance.choice(_AT_ANY_TIME), chance.uniform(0, _SPAN_S)
    if kind is Kind.DUPLICATE:
        return Fault(at_s, kind, "", 0.0)
    if kind is Kind.REFUSE:
        return _refusal(chance, at_s)
    victims = tuple(NODES) if kind is Kind.REJOIN else (*NODES, *NODES, *MANAGERS)
    return Fault(at_s, kind, chance.choice(victims), _duration_s(chance))


def _duration_s(chance: random.Random) -> float:
    return chance.choice((0.05, 0.3, 0.8, 1.5, 2.5)) * chance.uniform(0.5, 1.5)


def _refused_s(chance: random.Random) -> float:
    """The length of a refusal, mostly less than a lease, so that it causes nothing else."""
    return chance.choice((0.03, 0.06, 0.1, 0.3, 1.2)) * chance.uniform(0.5, 1.5)


def _order(chance: random.Random, token: str, span_s: float = _SPAN_S) -> Order:
    what = f"mark {token} {chance.choice((0, 0, 5, 20, 100, 300))}"
    node, subcluster = chance.choice(list(NODES.items()))
    at_s, manager = chance.uniform(0, span_s), chance.choice(MANAGERS)
    form = chance.random()
    if form < 0.2:
        # A bare name is a target only while a member has it; a name in brackets is always a target.
        alone = f"{node[:-1]}[{node[-1]}]"
        target = chance.choice(("@all", f"@{subcluster}", alone, ",".join(chance.sample(list(NODES), 2))))
        batch = f"--batch {chance.choice((1, 2))} " if form < 0.1 else ""
        return Order(at_s, manager, token, f"json gather --timeout 3 {batch}{target} {what}", rolling=bool(batch))
    verb = chance.choice(("broadcast", "broadcast", f"subcluster broadcast {subcluster}", f"unicast {node}"))
    line = f"json {verb} {what}"
    if form < 0.35:
        after_s = chance.choice((0.0, 0.02, 0.1, 0.3))
        return Order(at_s, manager, token, line, abort_after_s=after_s, abort_by=chance.choice(MANAGERS))
    return Order(at_s, manager, token, line)
