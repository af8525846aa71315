"""One fault, played: settle, strike, observe, heal, observe; and what was seen."""

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
"""A shorter silence is no outage that Redis's absence made."""


class System(Protocol):
    """What carries the addresses: ours, or the peer that it is measured against."""

    @property
    def name(self) -> str:
        """As tables have it."""

    @property
    def vips(self) -> tuple[str, ...]:
        """All addresses."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hosts that may carry them."""

    @property
    def steady_s(self) -> float:
        """Addresses that have stood still for so long are not moved by the system itself."""

    def start(self) -> None:
        """Start it on every host."""

    def processes(self, node: str, part: str) -> list[int]:
        """The processes of a part of it (all, agent, guardian) on a host."""

    def move(self, vip: str, node: str, target: str) -> None:
        """Tell it to move `vip` from `node` to `target`, as its operators do."""

    def mend(self, node: str) -> None:
        """Bring a host back to what it should be after a fault, as an operator would."""

    def whole(self) -> bool:
        """Whether all of its parts take part again, as far as it can be asked."""


@dataclass
class Scene:
    """Where faults are played."""

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
    """The addresses that a fault is about, where not all that the victim carries."""
    gone: str = ""
    """The host of a server that a fault ended, until it is healed."""
    began: int = 0
    """When the fault struck, in nanoseconds: to bring one about may take longer than it lasts."""
    back: int | None = None
    """When Redis answered again, where a fault took it away; in nanoseconds."""
    unnoticed: bool = False
    """Whether what befell was so short that no client may notice it."""

    @property
    def host(self) -> Namespace:
        """The victim's host."""
        return self.lab.hosts[self.victim]

    @property
    def target(self) -> str:
        """Another node, always the same one of a victim."""
        nodes = self.system.nodes
        return nodes[(nodes.index(self.victim) + 1) % len(nodes)]


class Fault(Protocol):
    """Something that befalls."""

    @property
    def name(self) -> str:
        """As tables have it."""

    @property
    def observe_s(self) -> float:
        """How long it is observed before it is healed."""

    def strike(self, scene: Scene) -> None:
        """Let it befall the scene's victim."""

    def heal(self, scene: Scene) -> None:
        """Take it away."""


@dataclass(frozen=True)
class Outcome:
    """What was seen of one fault; times in milliseconds."""

    fault: str
    victim: str
    outage: float
    """The longest silence of the addresses that the victim carried, as a client's datagrams saw it."""
    taken: float | None
    """From the strike until other hosts had answered for all of them; None where they did not."""
    unanswered: float
    """The longest time for which nobody answered for them, by ARP or neighbour discovery."""
    overlap: float
    """For how long two hosts are known to have held one address, summed over all addresses."""
    twice: int
    """Requests that two hosts answered."""
    recovery: float | None
    """How long after Redis answered again all was served; 0 where it always was, None where Redis was not away."""
    healing: float
    """The longest silence from the healing on."""
    ended: bool
    """Whether every address was carried steadily by one host at the end, and when not, the outage had not ended."""
    pause: float
    """The longest pause of the prober itself: no figure is finer."""
    away: float | None
    """For how long Redis did not answer; None where it did."""
    others: float
    """The longest silence of the addresses that the victim did not carry."""
    kernels: float = 0.0
    """The longest time for which no host's kernel answered for some address: no process of ours has a part in that."""
    unnoticed: bool = False
    """Whether no client was to notice anything."""

    @property
    def kept(self) -> bool:
        """Whether nothing was noticed where nothing was to be; but the prober itself may have paused."""
        return not self.unnoticed or self.kernels <= _BLINK_MS + self.pause

    @property
    def lawful(self) -> bool:
        """No address was ever with two hosts."""
        return self.overlap == 0 and self.twice == 0


def play(scene: Scene, fault: Fault, settle_s: float = 60.0, victim: str | None = None) -> Outcome:
    """Let `fault` befall the node that carries an address drawn at random, or one of `victim`'s."""
    before = scene.watch.settle(settle_s, scene.system.steady_s)
    scene.back, scene.struck, scene.unnoticed = None, (), False
    carried = [vip for vip in scene.system.vips if victim is None or before[vip] == victim]
    scene.vip = scene.random.choice(carried or list(scene.system.vips))
    scene.victim = before[scene.vip]
    own = [vip for vip, holder in before.items() if holder == scene.victim]
    # Not always at the same point of a heartbeat.
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
    """When a fault struck, was healed, and was watched to; and when Redis was back, in nanoseconds."""

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
    """What the records say of a fault."""
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
