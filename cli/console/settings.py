"""How the console shows answers. The command line sets it, and `\\fold` and its kin change it."""

from dataclasses import dataclass

from cli.console.arguments import Arguments
from cli.console.likeness import Folding


@dataclass(frozen=True)
class DisplaySettings:
    """What an operator may change about the display."""

    folding: Folding = Folding.OFF
    diff: bool = False
    """Whether groups of answers are compared with the largest one."""
    progress: bool = True
    """Whether a terminal shows how far a gather is."""
    color: bool = True
    json: bool = False
    """Whether each answer is shown as a JSON object."""

    @classmethod
    def of(cls, asked: Arguments) -> "DisplaySettings":
        """What the command line says."""
        folding = Folding.ON if asked.fold else Folding.OFF
        return cls(folding, asked.diff, asked.progress, asked.color, asked.json)

    @property
    def folds(self) -> bool:
        """Whether a report shows groups instead of nodes."""
        return not self.json and (self.diff or self.folding is not Folding.OFF)
