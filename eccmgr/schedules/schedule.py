"""A command that runs by itself, and what became of it each time."""

import enum
import json
from dataclasses import asdict, dataclass

from eccmgr.redis.reading import fields, integer, line, parsing, text
from eccmgr.schedules.times import When, when


@dataclass(frozen=True)
class Schedule:
    """What runs, when, and for whom."""

    id: str
    text: str
    user: str
    when: When

    def dump(self) -> str:
        """As it is kept."""
        return json.dumps({"id": self.id, "text": self.text, "user": self.user, **self.when.dump()})

    @classmethod
    def parse(cls, raw: bytes) -> "Schedule":
        """Read one back. Raises Unreadable."""
        with parsing("What Redis keeps of a schedule"):
            kept = fields(raw)
            return cls(line(kept["id"]), text(kept["text"]), line(kept["user"]), when(kept))


class Fate(enum.StrEnum):
    """What became of one run."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    MISSED = "missed"
    """Nobody was there to run it until it was too late."""
    SKIPPED = "skipped"
    """The run before had not ended."""
    LOST = "lost"
    """Whoever began it never said how it ended."""


@dataclass(frozen=True)
class Firing:
    """One run of a schedule: when it was due, who runs it and until when he may, in ms; and what came of it."""

    id: str
    text: str
    user: str
    due_ms: int
    by: str
    until_ms: int
    fate: Fate = Fate.RUNNING
    note: str = ""

    def dump(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, raw: bytes) -> "Firing":
        """Read one back. Raises Unreadable."""
        with parsing("What Redis keeps of a run"):
            kept = fields(raw)
            return cls(
                id=line(kept["id"]),
                text=text(kept["text"]),
                user=line(kept["user"]),
                due_ms=integer(kept["due_ms"]),
                by=line(kept["by"]),
                until_ms=integer(kept["until_ms"]),
                fate=Fate(kept["fate"]),
                note=text(kept["note"]).partition("\n")[0],
            )
