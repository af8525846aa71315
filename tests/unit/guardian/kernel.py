"""A kernel that the guard's steps change: a fence with a timer, addresses, and a clock that a test can move on."""

from dataclasses import dataclass, field
from typing import Any

from eccmgr.cluster.timing import TOKEN_S
from worker.guardian import guard
from worker.guardian.wire import Message


@dataclass
class Kernel:
    """Carries out steps, and looks at the host after each. `stops` are the seconds that pass before the n-th step."""

    now: float = 1000.0
    open_until: float = -1.0
    armed: float = -1.0
    plumbed: dict[str, int] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    taken: list[guard.Step] = field(default_factory=list)
    stops: dict[int, float] = field(default_factory=dict)
    refuses: set[type[guard.Step]] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    cannot: dict[str, str | None] = field(default_factory=dict)

    def carry_out(self, steps: guard.Steps, upto: int | None = None) -> bool:
        """Take the steps, or the first `upto` of them; returns whether these were all."""
        answer: Any = None
        for number in range(10_000):
            if upto is not None and number >= upto:
                steps.close()
                return False
            try:
                step = steps.send(answer)
            except StopIteration:
                return True
            self.now += self.stops.pop(len(self.taken), 0.0)
            self.taken.append(step)
            answer = self._take(step)
        raise AssertionError("steps without end")

    def kinds(self) -> list[str]:
        """The names of the steps that were taken, without those that read the clock or tell the agent."""
        return [type(each).__name__ for each in self.taken if not isinstance(each, guard.ReadClock | guard.Say)]

    def answers(self) -> set[str]:
        """The addresses that answer now."""
        return set(self.plumbed) if self.now < self.open_until else set()

    def _take(self, step: guard.Step) -> Any:
        refused = type(step) in self.refuses
        match step:
            case guard.ReadClock():
                return self.now
            case guard.Arm():
                self.armed = self.armed if refused else self.now
            case guard.OpenFence(until):
                refused = refused or self.now > self.armed + TOKEN_S or until <= self.now
                self.open_until = self.open_until if refused else until
            case guard.Close() | guard.Rebuild():
                self.open_until = self.open_until if refused else -1.0
            case guard.Add() | guard.Remove() | guard.Check():
                return self._change(step)
            case guard.EndSession(session, _):
                self.ended.append(session)
            case guard.Say(message):
                self.said.append(message)
        return not refused

    def _change(self, step: guard.Add | guard.Remove | guard.Check) -> Any:
        names = [each.address for each in step.addresses]
        if isinstance(step, guard.Check):
            return tuple((name, self.cannot[name] or "") for name in names if name in self.cannot)
        if isinstance(step, guard.Remove):
            for name in set(names) - self.stuck:
                self.plumbed.pop(name, None)
            return tuple((name, "busy") for name in names if name in self.stuck)
        answers = [self.cannot.get(name, "") for name in names]
        done = zip(names, step.epochs, answers, strict=True)
        self.plumbed.update((name, epoch) for name, epoch, answer in done if not answer)
        return answers
