"""The faults: small named objects. Each strikes the victim of a scene and can be healed."""

import signal
from dataclasses import dataclass

from tests.fault.lab.scene import Scene


@dataclass(frozen=True)
class Move:
    """The operator moves an address to another node."""

    name: str = "planned move"
    observe_s: float = 4.0

    def strike(self, scene: Scene) -> None:
        """Tell the system to move the address."""
        scene.struck = (scene.vip,)
        scene.system.move(scene.vip, scene.victim, scene.target)

    def heal(self, scene: Scene) -> None:
        """Restart the processes that were ended for the move."""
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Kill:
    """A part of the system is killed (-9)."""

    part: str
    observe_s: float = 6.0

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.part} killed (-9)"

    def strike(self, scene: Scene) -> None:
        """Kill every process of the part."""
        struck = scene.system.processes(scene.victim, self.part)
        # Kill all at once: a process that outlives another by a millisecond might react.
        scene.host.signal(signal.SIGSTOP, struck)
        scene.host.signal(signal.SIGKILL, struck)

    def heal(self, scene: Scene) -> None:
        """Restart the part, as a service manager or an operator would."""
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Stop:
    """A part of the system is stopped (SIGSTOP), and goes on later."""

    part: str
    observe_s: float = 6.0

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.part} stopped"

    def strike(self, scene: Scene) -> None:
        """Stop every process of the part."""
        scene.kept[self.name] = scene.system.processes(scene.victim, self.part)
        scene.host.signal(signal.SIGSTOP, scene.kept[self.name])

    def heal(self, scene: Scene) -> None:
        """Continue its processes."""
        scene.host.signal(signal.SIGCONT, scene.kept.pop(self.name))
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class LinkDown:
    """The owner's cable is pulled."""

    name: str = "link down"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Take the link down."""
        scene.lab.link(scene.victim, up=False)

    def heal(self, scene: Scene) -> None:
        """Put the link up again."""
        scene.lab.link(scene.victim, up=True)


@dataclass(frozen=True)
class Gone:
    """The owner's host is gone. Another machine comes back under its name."""

    name: str = "host gone"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Remove the host with all that runs on it."""
        scene.lab.remove(scene.victim)

    def heal(self, scene: Scene) -> None:
        """Start a new host under its name."""
        scene.lab.add(scene.victim)
        scene.watch.look_at(scene.victim)
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Partition:
    """The owner reaches only the clients; its link stays up."""

    name: str = "silent partition"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Separate the owner from its peers."""
        scene.lab.part(scene.victim, self._others(scene))

    def heal(self, scene: Scene) -> None:
        """Connect the owner to its peers again."""
        scene.lab.join(scene.victim, self._others(scene))

    def _others(self, scene: Scene) -> list[str]:
        return [name for name in scene.lab.names if name not in (scene.victim, scene.watch.client)]
