"""The faults of Redis and of the network to it, for systems that use a Redis."""

import signal
import threading
import time
from dataclasses import dataclass, field
from typing import cast

from tests.fault.lab.hosts import now_ns
from tests.fault.lab.nodes import Nodes
from tests.fault.lab.redis_host import LabRedis
from tests.fault.lab.replicated import ReplicatedRedis
from tests.fault.lab.scene import Fault, Scene
from tests.fault.vetoes import Veto
from tests.waiting import wait_until_sync


def _alone(scene: Scene) -> LabRedis:
    return cast(LabRedis, cast(Nodes, scene.system).redis)


def _replicated(scene: Scene) -> ReplicatedRedis:
    return cast(ReplicatedRedis, cast(Nodes, scene.system).redis)


@dataclass(frozen=True)
class RedisKilled:
    """Redis is killed, and started again after `for_s`, with its latest data or empty."""

    for_s: float
    data: bool = True
    observe_s: float = 6.0
    when: str = "some time later"

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"Redis killed, back {self.when}, {'its data kept' if self.data else 'empty'}"

    def strike(self, scene: Scene) -> None:
        """Kill Redis, and start it again."""
        server = _alone(scene)
        server.forget()
        if self.data:
            server.save()
        server.kill()
        time.sleep(self.for_s)
        server.start()
        scene.back = now_ns()

    def heal(self, scene: Scene) -> None:
        """Do nothing: Redis already runs again."""


@dataclass(frozen=True)
class RedisStopped:
    """Redis is stopped (SIGSTOP) for a while."""

    for_s: float
    observe_s: float = 6.0
    when: str = "some time later"

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"Redis stopped, goes on {self.when}"

    def strike(self, scene: Scene) -> None:
        """Stop Redis, and continue it."""
        _alone(scene).signal(signal.SIGSTOP)
        time.sleep(self.for_s)
        _alone(scene).signal(signal.SIGCONT)
        scene.back = now_ns()

    def heal(self, scene: Scene) -> None:
        """Do nothing: Redis already continues."""


@dataclass(frozen=True)
class Refused:
    """Redis refuses for `for_s`. If that is at most `bearable_s`, no client may notice it."""

    veto: Veto
    for_s: float
    bearable_s: float = 0.0
    observe_s: float = 4.0
    when: str = "some time"

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"Redis refuses ({self.veto}) for {self.when}"

    def strike(self, scene: Scene) -> None:
        """Make Redis refuse, and serve again."""
        server = _alone(scene)
        scene.began = server.begin_refusing(self.veto)
        time.sleep(self.for_s)
        server.end_refusing(self.veto)
        scene.back = now_ns()
        scene.unnoticed = (scene.back - scene.began) / 1e9 <= self.bearable_s

    def heal(self, scene: Scene) -> None:
        """Do nothing: Redis already serves again."""


@dataclass(frozen=True)
class ClockStep:
    """Redis's wall clock is stepped, and back again."""

    by_s: float
    observe_s: float = 4.0

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"Redis's clock stepped by {self.by_s:+g} s"

    def strike(self, scene: Scene) -> None:
        """Step the clock."""
        _alone(scene).step_clock(self.by_s)

    def heal(self, scene: Scene) -> None:
        """Step the clock back."""
        _alone(scene).step_clock(0.0)


@dataclass(frozen=True)
class FailedOver:
    """Redis's master is killed after its replicas have lagged for `stale_s`; one of them is promoted."""

    stale_s: float
    observe_s: float = 8.0

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"Redis failed over to a replica {self.stale_s:g} s behind"

    def strike(self, scene: Scene) -> None:
        """Let the replicas lag, kill the master, let the replicas continue."""
        scene.gone = _replicated(scene).fail_over(self.stale_s)

    def heal(self, scene: Scene) -> None:
        """Restart the killed copy, and wait until it follows."""
        _replicated(scene).mend(scene.gone)


@dataclass(frozen=True)
class HandedOver:
    """The operator promotes a replica while the master is well."""

    name: str = "Redis handed over to a replica"
    observe_s: float = 8.0

    def strike(self, scene: Scene) -> None:
        """Tell a sentinel."""
        _replicated(scene).hand_over()

    def heal(self, scene: Scene) -> None:
        """Wait until all copies follow again."""
        wait_until_sync(_replicated(scene).whole, "all copies follow", 60.0)


@dataclass(frozen=True)
class RedisCut:
    """The owner reaches every other host, but not Redis."""

    name: str = "owner cut off from Redis"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Separate the owner from Redis."""
        scene.lab.part(scene.victim, _alone(scene).hosts)

    def heal(self, scene: Scene) -> None:
        """Connect the owner to Redis again."""
        scene.lab.join(scene.victim, _alone(scene).hosts)


@dataclass(frozen=True)
class Both:
    """Two faults strike the same node at once; the second is healed first."""

    first: Fault
    second: Fault
    observe_s: float = 6.0

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.first.name} + {self.second.name}"

    def strike(self, scene: Scene) -> None:
        """Strike with both, one right after the other."""
        self.first.strike(scene)
        self.second.strike(scene)

    def heal(self, scene: Scene) -> None:
        """Heal both, the second first."""
        self.second.heal(scene)
        self.first.heal(scene)


@dataclass(frozen=True)
class MoveBroken:
    """A move begins. `after_s` later a fault strikes the giver or the taker."""

    fault: Fault
    after_s: float
    taker: bool = False
    observe_s: float = 6.0
    refused: list[str] = field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{'taker' if self.taker else 'giver'} of a move: {self.fault.name}"

    def strike(self, scene: Scene) -> None:
        """Begin the move, then strike."""
        giver, taker = scene.victim, scene.target
        mover = threading.Thread(target=self._move, args=(scene, giver, taker))
        mover.start()
        time.sleep(self.after_s)
        scene.victim = taker if self.taker else giver
        self.fault.strike(scene)
        mover.join(30)

    def _move(self, scene: Scene, giver: str, taker: str) -> None:
        try:
            scene.system.move(scene.vip, giver, taker)
        except (OSError, RuntimeError, AssertionError) as error:
            # The fault may have hit the manager too. The scene observes the address anyway.
            self.refused.append(str(error))

    def heal(self, scene: Scene) -> None:
        """Heal the fault."""
        self.fault.heal(scene)
