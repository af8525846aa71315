"""The faults, small named objects: each strikes a scene's victim, and is healed."""

import signal
from dataclasses import dataclass

from tests.fault.lab.scene import Scene


@dataclass(frozen=True)
class Move:
    """The operator moves an address to another node."""

    name: str = "planned move"
    observe_s: float = 4.0

    def strike(self, scene: Scene) -> None:
        """Tell the system."""
        scene.struck = (scene.vip,)
        scene.system.move(scene.vip, scene.victim, scene.target)

    def heal(self, scene: Scene) -> None:
        """What was ended for it is started again."""
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Kill:
    """A part of the system is killed (-9)."""

    part: str
    observe_s: float = 6.0

    @property
    def name(self) -> str:
        """As it is listed."""
        return f"{self.part} killed (-9)"

    def strike(self, scene: Scene) -> None:
        """Kill every process of the part."""
        struck = scene.system.processes(scene.victim, self.part)
        # At one moment: a process that outlives another by a millisecond may use it.
        scene.host.signal(signal.SIGSTOP, struck)
        scene.host.signal(signal.SIGKILL, struck)

    def heal(self, scene: Scene) -> None:
        """As a service manager, or an operator, would."""
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Stop:
    """A part of the system is stopped (SIGSTOP), and goes on later."""

    part: str
    observe_s: float = 6.0

    @property
    def name(self) -> str:
        """As it is listed."""
        return f"{self.part} stopped"

    def strike(self, scene: Scene) -> None:
        """Stop every process of the part."""
        scene.kept[self.name] = scene.system.processes(scene.victim, self.part)
        scene.host.signal(signal.SIGSTOP, scene.kept[self.name])

    def heal(self, scene: Scene) -> None:
        """Let them go on."""
        scene.host.signal(signal.SIGCONT, scene.kept.pop(self.name))
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class LinkDown:
    """The owner's cable is pulled."""

    name: str = "link down"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Pull it."""
        scene.lab.link(scene.victim, up=False)

    def heal(self, scene: Scene) -> None:
        """Plug it in again."""
        scene.lab.link(scene.victim, up=True)


@dataclass(frozen=True)
class Gone:
    """The owner's host is gone, and comes back as another machine under its name."""

    name: str = "host gone"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Take it away, with all that runs on it."""
        scene.lab.remove(scene.victim)

    def heal(self, scene: Scene) -> None:
        """Start it."""
        scene.lab.add(scene.victim)
        scene.watch.look_at(scene.victim)
        scene.system.mend(scene.victim)


@dataclass(frozen=True)
class Partition:
    """The owner reaches none but the clients; its link stays up."""

    name: str = "silent partition"
    observe_s: float = 6.0

    def strike(self, scene: Scene) -> None:
        """Part it."""
        scene.lab.part(scene.victim, self._others(scene))

    def heal(self, scene: Scene) -> None:
        """Join it."""
        scene.lab.join(scene.victim, self._others(scene))

    def _others(self, scene: Scene) -> list[str]:
        return [name for name in scene.lab.names if name not in (scene.victim, scene.watch.client)]
