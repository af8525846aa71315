"""A scheduled command, and the states of its runs."""

import enum
from dataclasses import dataclass, replace

import msgspec

from eccmgr.access.statements import UNSIGNED, Signed
from eccmgr.commands.secrets import without_secrets
from eccmgr.redis.reading import Count, check_lines, command, decoded, parsing
from eccmgr.schedules.times import When, when


@dataclass(frozen=True)
class Schedule:
    """A scheduled command: its text, its times, and its user."""

    id: str
    text: str
    user: str
    when: When
    signed: Signed = UNSIGNED

    def dump(self) -> str:
        """The form in which Redis keeps it."""
        kept = {"id": self.id, "text": self.text, "user": self.user, **self.when.dump()}
        if self.signed.env:
            env, sig = self.signed.kept
            kept |= {"env": env.decode(), "sig": sig.decode()}
        return msgspec.json.encode(kept).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "Schedule":
        """Parse what `dump` returned. Raises Unreadable."""
        with parsing("The record of a schedule in Redis"):
            kept = decoded(_schedule, raw)
            check_lines(kept.id, kept.user)
            made = when(msgspec.structs.asdict(kept))
            return cls(kept.id, command(kept.text), kept.user, made, Signed.read(kept.env, kept.sig))


class KeptSchedule(msgspec.Struct, frozen=True):
    """A schedule as Redis keeps it: the fields of its times stand among the others."""

    id: str
    text: str
    user: str
    every: float | None = None
    cron: str | None = None
    zone: str | None = None
    at: Count | None = None
    env: str = ""
    sig: str = ""


_schedule = msgspec.json.Decoder(KeptSchedule)


class Fate(enum.StrEnum):
    """The state of one run."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    MISSED = "missed"
    """No runner could run it in time."""
    SKIPPED = "skipped"
    """The previous run had not ended."""
    LOST = "lost"
    """Its runner never recorded its end."""


@dataclass(frozen=True)
class Firing:
    """One run of a schedule: its due time, its runner and the runner's deadline (all in ms), and its state."""

    id: str
    text: str
    user: str
    due_ms: Count
    by: str
    until_ms: Count
    fate: Fate = Fate.RUNNING
    note: str = ""

    def dump(self) -> str:
        """The form in which Redis keeps it, long after the run: without secrets."""
        return msgspec.json.encode(replace(self, text=without_secrets(self.text))).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "Firing":
        """Parse what `dump` returned. Raises Unreadable."""
        with parsing("The record of a run in Redis"):
            firing = decoded(_firing, raw)
            check_lines(firing.id, firing.user, firing.by)
            return replace(firing, text=command(firing.text), note="".join(firing.note.splitlines()[:1]))


_firing = msgspec.json.Decoder(Firing)
