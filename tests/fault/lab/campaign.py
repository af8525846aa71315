"""The faults to play, how often each is played, and the verdicts by the rules."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fault.lab.faults import Gone, Kill, LinkDown, Move, Partition, Stop
from tests.fault.lab.hosts import Lab, NoLab
from tests.fault.lab.keepalived import PROGRAM, Keepalived
from tests.fault.lab.nodes import Nodes, Profile
from tests.fault.lab.redis_faults import (
    Both,
    ClockStep,
    FailedOver,
    HandedOver,
    MoveBroken,
    RedisCut,
    RedisKilled,
    RedisStopped,
    Refused,
)
from tests.fault.lab.redis_host import SERVER, LabRedis, steps_clocks_by
from tests.fault.lab.replicated import COPIES, ReplicatedRedis
from tests.fault.lab.scene import Fault, Outcome, Scene, System, play
from tests.fault.lab.watch import Watch
from tests.fault.vetoes import Veto

NODES = ("east1", "east2", "west1")
VIPS = ("10.77.1.1", "10.77.1.2", "10.77.1.3", "10.77.1.4", "fd77::1:1", "fd77::1:2")
PEER_FAULTS: tuple[Fault, ...] = (Move(), Kill("all"), Stop("all"), LinkDown(), Gone(), Partition())
_SETTLE_S = 120.0


def table_faults(profile: Profile) -> tuple[Fault, ...]:
    """The faults whose figures are published."""
    bearable_s = profile.deadline_s - profile.heartbeat_s
    # A start takes a quarter of a second.
    short_s, long_s = max(0.0, bearable_s - 0.25), profile.deadline_s + 2.0
    soon, late = "soon", "after the deadline"
    return (
        Move(),
        Kill("agent"),
        Kill("guardian"),
        Kill("agent and guardian"),
        Kill("all"),
        Stop("agent and guardian"),
        Stop("all"),
        LinkDown(),
        Gone(),
        Partition(),
        RedisStopped(0.8 * bearable_s, when=soon),
        RedisKilled(short_s, when=soon),
        RedisKilled(short_s, data=False, when=soon),
        RedisStopped(long_s, when=late),
        RedisKilled(long_s, when=late),
        RedisKilled(long_s, data=False, when=late),
    )


def more_faults(profile: Profile) -> tuple[Fault, ...]:
    """The faults that only have to keep the law and end well."""
    steps = tuple(
        MoveBroken(fault, after_s / 1000, taker)
        for taker in (False, True)
        for fault in (Kill("agent"), Kill("guardian"), RedisCut())
        for after_s in (0, 5, 10, 20, 40)
    )
    steps_s = (3600, -3600, 3 * 86400, profile.session_lease, -profile.session_lease)
    clocks = (
        *(ClockStep(by_s) for by_s in steps_s),
        Both(Stop("agent and guardian"), ClockStep(3600)),
        Both(Partition(), ClockStep(3600)),
    )
    return (
        Stop("agent"),
        Stop("guardian"),
        RedisCut(),
        Both(RedisCut(), RedisKilled(0.2, data=False)),
        Both(Stop("guardian"), RedisStopped(profile.deadline_s)),
        *(clocks if steps_clocks_by() else ()),
        *steps,
    )


def refusals(profile: Profile) -> tuple[Fault, ...]:
    """The refusals of Redis. Each one lasts once shorter and once longer than a holder can bridge."""
    # On a busy machine, reconnecting takes time, and so does causing a refusal.
    bearable_s = profile.deadline_s - profile.heartbeat_s - 0.05
    short_s, long_s = 0.7 * bearable_s, profile.deadline_s + 1.0
    return tuple(
        fault
        for veto in Veto
        for fault in (
            Refused(veto, short_s, bearable_s, when="less than the deadline"),
            Refused(veto, long_s, bearable_s, when="longer than the deadline"),
        )
    )


def drawn(rng: random.Random, *, steps_clocks: bool) -> Iterator[Fault]:
    """Random faults without end; a quarter of them come in pairs. With `steps_clocks`, steps of a clock are among
    them."""

    def one() -> Fault:
        part = rng.choice(("agent", "guardian", "agent and guardian", "all"))
        after_s, veto = rng.uniform(0, 0.05), rng.choice(tuple(Veto))
        makers: tuple[Callable[[], Fault], ...] = (
            Move,
            lambda: Kill(part, 3.0),
            lambda: Stop(part, rng.uniform(0.2, 5.0)),
            lambda: LinkDown(observe_s=rng.uniform(0.2, 5.0)),
            lambda: Gone(observe_s=4.0),
            lambda: Partition(observe_s=rng.uniform(0.2, 5.0)),
            lambda: RedisCut(observe_s=rng.uniform(0.2, 5.0)),
            lambda: RedisKilled(rng.uniform(0.0, 4.0), rng.random() < 0.5, 3.0),
            lambda: RedisStopped(rng.uniform(0.1, 4.0), 3.0),
            lambda: Refused(veto, rng.uniform(0.05, 4.0), observe_s=3.0),
            lambda: MoveBroken(rng.choice((Kill(part), RedisCut(), Stop(part))), after_s, rng.random() < 0.5, 3.0),
            *((lambda: ClockStep(rng.choice((3600.0, -3600.0, 2.0, -2.0)), 3.0),) if steps_clocks else ()),
        )
        return rng.choice(makers)()

    while True:
        first = one()
        # A host that is gone cannot be struck again, and a stopped part cannot be stopped again.
        if rng.random() < 0.25 and not isinstance(first, Gone | MoveBroken):
            clock = (ClockStep(3600.0),) if steps_clocks else ()
            second = rng.choice((RedisKilled(rng.uniform(0.0, 2.0), False), RedisStopped(1.0), *clock))
            yield Both(first, second, first.observe_s)
        else:
            yield first


@dataclass
class Campaign:
    """The faults that were played on one system."""

    name: str
    outcomes: list[Outcome] = field(default_factory=list)

    def broken(self) -> list[Outcome]:
        """The bad outcomes: an address was on two hosts, was on no host in the end, or went away without need."""
        return [each for each in self.outcomes if not (each.lawful and each.ended and each.kept)]

    def play(self, scene: Scene, fault: Fault, say: Callable[[str], None], settle_s: float = _SETTLE_S) -> Outcome:
        """Play one fault, and note its outcome."""
        outcome = play(scene, fault, settle_s)
        self.outcomes.append(outcome)
        away = "" if outcome.away is None else f" (Redis away {outcome.away / 1000:.2f} s)"
        back = "" if outcome.recovery is None else f", after Redis was back {outcome.recovery / 1000:.2f} s"
        taken = "none" if outcome.taken is None else f"{outcome.taken / 1000:.2f} s"
        say(
            f"{outcome.fault}{away} on {outcome.victim}: outage {outcome.outage / 1000:.2f} s, taken over {taken},"
            f" two holders {outcome.overlap:.0f} ms ({outcome.twice}), after healing {outcome.healing / 1000:.2f} s"
            f"{back}{f', prober paused {outcome.pause:.0f} ms' if outcome.pause > 50 else ''}"
            f"{'' if outcome.ended else ', NOT ENDED'}{'' if outcome.kept else ', NOTICED'}"
        )
        return outcome


def play_peer(folder: Path, advert_s: float, rounds: int, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play keepalived, each fault `rounds` times. Raises NoLab."""
    if shutil.which(PROGRAM) is None:
        raise NoLab(f"not installed: {PROGRAM}")
    with Lab(folder, (*NODES, "client")) as lab:
        system = Keepalived(lab, NODES, advert_s)
        return _played(lab, system, seed, [fault for fault in PEER_FAULTS for _ in range(rounds)], say)


def play_table(folder: Path, profile: Profile, rounds: int, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play our system, each fault of the table `rounds` times. Raises NoLab."""
    return _ours(folder, profile, seed, [fault for fault in table_faults(profile) for _ in range(rounds)], say)


def play_failovers(folder: Path, profile: Profile, rounds: int, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play our system on a Redis under Sentinel: promote fresh and stale replicas `rounds` times each. Raises NoLab."""
    kinds = (HandedOver(), FailedOver(0.0), FailedOver(0.2))
    faults: list[Fault] = [fault for fault in kinds for _ in range(rounds)]
    with Lab(folder, (*NODES, *COPIES, "client")) as lab:
        return _played(lab, Nodes(lab, NODES, profile, VIPS, ReplicatedRedis(lab)), seed, faults, say)


def play_refusals(folder: Path, profile: Profile, rounds: int, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play our system, each refusal of Redis `rounds` times. Raises NoLab."""
    return _ours(folder, profile, seed, [fault for fault in refusals(profile) for _ in range(rounds)], say)


def play_more(folder: Path, profile: Profile, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play our system, each of the other faults once. Raises NoLab."""
    return _ours(folder, profile, seed, list(more_faults(profile)), say)


def play_drawn(folder: Path, profile: Profile, faults: int, seed: str, say: Callable[[str], None]) -> Campaign:
    """Play our system with faults drawn from `seed`. Raises NoLab."""
    source = drawn(random.Random(seed), steps_clocks=steps_clocks_by() is not None)
    return _ours(folder, profile, seed, [next(source) for _ in range(faults)], say)


def _ours(folder: Path, profile: Profile, seed: str, faults: list[Fault], say: Callable[[str], None]) -> Campaign:
    with Lab(folder, (*NODES, SERVER, "client")) as lab:
        return _played(lab, Nodes(lab, NODES, profile, VIPS, LabRedis(lab)), seed, faults, say)


def _played(lab: Lab, system: System, seed: str, faults: list[Fault], say: Callable[[str], None]) -> Campaign:
    campaign = Campaign(system.name)
    system.start()
    with Watch(lab, system.vips, system.nodes) as watch:
        scene = Scene(lab, system, watch, random.Random(seed))
        for fault in faults:
            if not campaign.play(scene, fault, say).ended:
                break  # A further fault would strike a broken system.
    return campaign
