"""Plays one fault (settle, strike, observe, heal, observe), and returns the observations."""

import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import Protocol

from tests.fault.lab.analysis import MS, Records, answered_twice, longest_gap, overlap_ns, spans
from tests.fault.lab.hosts import Lab, Namespace, now_ns
from tests.fault.lab.watch import Watch
from tests.waiting import wait_until_sync

_BLINK_MS = 100.0
"""The shortest silence that counts as an outage caused by Redis's absence."""


class System(Protocol):
    """The system that carries the addresses: ours, or the peer."""

    @property
    def name(self) -> str:
        """The name in the table."""

    @property
    def vips(self) -> tuple[str, ...]:
        """All addresses of the system."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hosts that may carry the addresses."""

    @property
    def steady_s(self) -> float:
        """The time after which the system no longer moves an address by itself."""

    def start(self) -> None:
        """Start the system on every host."""

    def processes(self, node: str, part: str) -> list[int]:
        """The process ids of a part of the system (all, agent, guardian) on a host."""

    def move(self, vip: str, node: str, target: str) -> None:
        """Have the system move `vip` from `node` to `target`, as its operators do."""

    def mend(self, node: str) -> None:
        """Restore a host after a fault, as an operator would."""

    def whole(self) -> bool:
        """Whether all parts of the system work again, as far as it can tell."""


@dataclass
class Scene:
    """The scene in which a fault is played."""

    lab: Lab
    system: System
    watch: Watch
    random: random.Random
    victim: str = ""
    vip: str = ""
    """An address that the victim carries."""
    kept: dict[str, list[int]] = field(default_factory=dict)
    """The processes that a fault stopped, until it is healed."""
    struck: tuple[str, ...] = ()
    """The addresses that the fault affects, if they are not all addresses of the victim."""
    gone: str = ""
    """The host of a server that the fault ended, until it is healed."""
    began: int = 0
    """The time of the strike in nanoseconds. It may take longer to cause a fault than the fault lasts."""
    back: int | None = None
    """The time at which Redis answered again, if the fault took it away; in nanoseconds."""
    unnoticed: bool = False
    """Whether the fault was so short that no client may notice it."""

    @property
    def host(self) -> Namespace:
        """The victim's host."""
        return self.lab.hosts[self.victim]

    @property
    def target(self) -> str:
        """Another node; for one victim, it is always the same."""
        nodes = self.system.nodes
        return nodes[(nodes.index(self.victim) + 1) % len(nodes)]


class Fault(Protocol):
    """A fault."""

    @property
    def name(self) -> str:
        """The name in the table."""

    @property
    def observe_s(self) -> float:
        """The time for which the fault is observed before it is healed."""

    def strike(self, scene: Scene) -> None:
        """Strike the scene's victim."""

    def heal(self, scene: Scene) -> None:
        """End the fault."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one fault; times in milliseconds."""

    fault: str
    victim: str
    outage: float
    """The longest silence of the victim's addresses, by a client's datagrams."""
    taken: float | None
    """The time from the strike until other hosts had answered for all its addresses; None if they never did."""
    unanswered: float
    """The longest time without an answer for its addresses, by ARP or neighbour discovery."""
    overlap: float
    """The time for which two hosts are known to have held one address, summed over all addresses."""
    twice: int
    """The number of requests that two hosts answered."""
    recovery: float | None
    """The time from Redis's return until every address was served; 0 if every address always was, None if Redis was not
    away."""
    healing: float
    """The longest silence after the healing began."""
    ended: bool
    """Whether one host carried each address steadily at the end. If not, the outage had not ended."""
    pause: float
    """The longest pause of the prober itself, which limits the precision of all figures."""
    away: float | None
    """The time for which Redis did not answer; None if it always did."""
    others: float
    """The longest silence of the addresses that the victim did not carry."""
    kernels: float = 0.0
    """The longest time for which no host's kernel answered for an address. No process of ours affects this."""
    unnoticed: bool = False
    """Whether no client was allowed to notice the fault."""

    @property
    def kept(self) -> bool:
        """Whether no client noticed a fault that none may notice, apart from pauses of the prober itself."""
        return not self.unnoticed or self.kernels <= _BLINK_MS + self.pause

    @property
    def lawful(self) -> bool:
        """Whether no address was ever on two hosts."""
        return self.overlap == 0 and self.twice == 0


def play(scene: Scene, fault: Fault, settle_s: float = 60.0, victim: str | None = None) -> Outcome:
    """Strike a node with `fault`: the node `victim`, or the node that carries a random address."""
    before = scene.watch.settle(settle_s, scene.system.steady_s)
    scene.back, scene.struck, scene.unnoticed = None, (), False
    carried = [vip for vip in scene.system.vips if victim is None or before[vip] == victim]
    scene.vip = scene.random.choice(carried or list(scene.system.vips))
    scene.victim = before[scene.vip]
    own = [vip for vip, holder in before.items() if holder == scene.victim]
    # The random delay strikes at another point of the heartbeat each time.
    time.sleep(scene.random.uniform(0.0, 0.6))
    scene.began = now_ns()
    fault.strike(scene)
    own = list(scene.struck) or own
    time.sleep(fault.observe_s)
    struck_until = now_ns()
    fault.heal(scene)
    ended = True
    try:
        wait_until_sync(scene.system.whole, "all take part again", settle_s)
        time.sleep(scene.system.steady_s)
        scene.watch.settle(settle_s, scene.system.steady_s)
    except AssertionError:
        ended = False
    end = now_ns()
    times = Times(scene.began, struck_until, end, scene.back)
    seen = judged(scene.watch.read_until(end), fault.name, scene.victim, own, scene.system.vips, times, ended)
    return replace(seen, unnoticed=scene.unnoticed)


@dataclass(frozen=True)
class Times:
    """The times of a fault: its strike, its healing, the end of the watch, and Redis's return, in nanoseconds."""

    began: int
    healed: int
    end: int
    back: int | None = None


def judged(
    records: Records,
    fault: str,
    victim: str,
    own: list[str],
    vips: tuple[str, ...],
    times: Times,
    ended: bool,
) -> Outcome:
    """The outcome of a fault, from the records."""
    began, healed, end = times.began, times.healed, times.end
    part = records.between(began - 1000 * MS, end)

    def silence(carried: list[str], begin: int, until: int, answered: bool = False) -> float:
        seen = part.answers if answered else part.echoes
        return max(
            (longest_gap((s.heard for s in seen if s.vip == vip), begin, until).ms for vip in carried), default=0.0
        )

    return Outcome(
        fault=fault,
        victim=victim,
        outage=silence(own, began, healed),
        taken=_taken(part, own, victim, began),
        unanswered=silence(own, began, healed, answered=True),
        overlap=sum(overlap_ns(spans(part, vip)) for vip in vips) / MS,
        twice=sum(len(answered_twice(part, vip)) for vip in vips),
        recovery=_recovery(part, vips, times),
        healing=silence(list(vips), healed, end),
        ended=ended,
        pause=longest_gap(part.rounds, began, end).ms,
        away=None if times.back is None else (times.back - began) / MS,
        others=silence([vip for vip in vips if vip not in own], began, healed),
        kernels=silence(list(vips), began, healed, answered=True),
    )


def _taken(records: Records, own: list[str], victim: str, began: int) -> float | None:
    others = [a for a in records.answers if a.host != victim and a.asked >= began]
    firsts = [next((a.heard for a in others if a.vip == vip), None) for vip in own]
    heard = [first for first in firsts if first is not None]
    return (max(heard) - began) / MS if heard and len(heard) == len(firsts) else None


def _recovery(records: Records, vips: tuple[str, ...], times: Times) -> float | None:
    if times.back is None:
        return None
    gaps = [longest_gap((e.heard for e in records.echoes if e.vip == vip), times.began, times.end) for vip in vips]
    ends = [math.inf if gap.open else (gap.end - times.back) / MS for gap in gaps if gap.ms > _BLINK_MS]
    return max(0.0, *ends) if ends else 0.0
