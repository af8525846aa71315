"""The account of a daemon: who signed in, who ran which command, and who was refused; in a file and in the audit.

The event loop only notes what happened. A thread makes the lines and writes them to the files of `acctlog`, the record
that counts; a task adds them to the audit in Redis. Both are bounded, and what is dropped is told in the file, in the
log and in `info`.
"""

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from eccmgr.access.accounts import AUTHENTICATION, AUTHORIZATION, TIMED_OUT, AccountLine, gap, shortened
from eccmgr.cluster.calls.accounts import account
from eccmgr.cluster.options import ClusterOptions
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Admission, Authentication, Gate, Judged
from eccmgr.commands.secrets import without_secrets
from eccmgr.config.live.options import Sync
from eccmgr.config.live.parts import Part, Spawn
from eccmgr.errors import EccmgrError, RedisUnreachable
from eccmgr.logs.backlog import Backlog
from eccmgr.logs.files import LogFiles
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_WAITING_MAX, _WAITING_CHARACTERS = 50_000, 32 * 1024 * 1024
_AUDIT_MAX, _AUDIT_CHARACTERS = 10_000, 8 * 1024 * 1024
_AUDIT_LINE_MAX = 1024
_AT_ONCE = 1000
_SECOND_S = 1.0
# After a write the thread waits for further lines, so that a thousand commands a second are twenty writes.
_GATHER_S = 0.05
_END_S = 5.0
_SAY_EVERY_S = 10.0
_OUTCOMES = {
    Authentication.SUCCEEDED: (AUTHENTICATION, 1),
    Authentication.FAILED: (AUTHENTICATION, 0),
    Authentication.TIMED_OUT: (TIMED_OUT, 0),
}


class _SignIn(NamedTuple):
    caller: Caller
    outcome: Authentication


class _Counted(NamedTuple):
    """A line, and how many equal ones there were."""

    line: str
    times: int


_Noted = tuple[float, Judged | _SignIn]
"""What happened, and when, before it is a line."""


class MissingLines:
    """The lines that one place lacks. The log tells of them every 10 s at most."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.lines, self.reason = 0, ""
        self._untold, self._next_s = 0, 0.0

    def note(self, lines: int, reason: str) -> None:
        """Note that `lines` were dropped, perhaps none."""
        if lines:
            self.lines, self.reason, self._untold = self.lines + lines, reason, self._untold + lines
        if self._untold and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _SAY_EVERY_S
            log.warning("lines dropped", place=self._place, lines=self._untold, reason=self.reason)
            self._untold = 0

    def remarks(self) -> Iterable[str]:
        """The line of `info` about them."""
        return (f"Account: {self.lines} lines are missing in {self._place}: {self.reason}",) if self.lines else ()


class Accounting(Part):
    """Takes what a gate judges, and the sign-ins, and keeps a line of each."""

    title = "accounts"

    def __init__(
        self,
        files: LogFiles,
        link: Link,
        keys: Keys,
        options: ClusterOptions,
        by: str,
        clock: Callable[[], float] = time.time,
        most: int = _WAITING_MAX,
    ) -> None:
        """`by` names this daemon in the audit; `clock` answers the wall clock; at most `most` lines wait for the
        disk."""
        self._files, self._link, self._keys, self._options = files, link, keys, options
        self._by, self._clock = by, clock
        self._waiting: Backlog[_Noted] = Backlog(most, _WAITING_CHARACTERS, _size)
        self._audit: Backlog[_Counted] = Backlog(_AUDIT_MAX, _AUDIT_CHARACTERS, lambda counted: len(counted.line))
        self._kept: Counter[str] = Counter()
        """The lines that wait for Redis."""
        self._missing, self._missing_in_audit = MissingLines("acctlog"), MissingLines("the audit")
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="account", daemon=True)
        self._unforced, self._forced_s = False, 0.0
        self._fault = ""

    def follow(self, gate: Gate) -> None:
        """Account for everything that `gate` judges."""
        gate.on_judged, gate.on_signed_in = self.judged, self.signed_in

    def judged(self, judged: Judged) -> None:
        """Note a judgement; in any thread."""
        self._note((self._clock(), judged))

    def signed_in(self, caller: Caller, outcome: Authentication) -> None:
        """Note the end of a sign-in."""
        self._note((self._clock(), _SignIn(caller, outcome)))

    async def start(self, spawn: Spawn) -> None:
        """Begin to write."""
        self._thread.start()
        spawn(self._tell_all(), "audit")

    async def close(self) -> None:
        """Write the lines that still wait. A disk that does not answer is given up after a while."""
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _END_S)
            self._missing.note(len(self._waiting), "the disk did not answer in time")
            with contextlib.suppress(EccmgrError):
                await self._tell()

    def remarks(self) -> list[str]:
        """Lines for the operator: what is missing, and why."""
        fault = (f"Account: acctlog cannot be forced to the disk: {self._fault}",) if self._fault else ()
        return [*self._missing.remarks(), *self._missing_in_audit.remarks(), *fault]

    def _note(self, noted: _Noted) -> None:
        self._waiting.put(noted)
        if not self._wake.is_set():
            self._wake.set()

    # In the thread.

    def _write_all(self) -> None:
        while True:
            self._wake.wait(_SECOND_S if self._unforced else None)
            self._wake.clear()
            while self._write():
                pass
            self._force()
            if self._ending.is_set():
                if not self._waiting:
                    return
                self._wake.set()
            elif self._files.sync is not Sync.ALWAYS:
                self._ending.wait(_GATHER_S)

    def _write(self) -> bool:
        """Write some of the lines that wait; answers whether there were any."""
        items, dropped = self._waiting.take(_AT_ONCE)
        lines = [_line_of(noted) for noted in items]
        for line, times in Counter(lines).items():
            self._audit.put(_Counted(_cut(line), times))
        if dropped:
            lines.append(gap(self._clock(), dropped, "more than could be written"))
        self._missing.note(dropped, "more than could be written")
        if not lines:
            return False
        if self._files.sync is not None:
            self._files.account("".join(f"{line}\n" for line in lines))
            self._unforced = True
            if self._files.sync is Sync.ALWAYS:
                self._force()
        return True

    def _force(self) -> None:
        """Force the lines to the disk, if it is time."""
        now = time.monotonic()
        if not self._unforced or (self._files.sync is Sync.SECOND and now - self._forced_s < _SECOND_S):
            return
        fault, self._unforced, self._forced_s = self._files.force(), False, now
        if fault and fault != self._fault:
            log.error("account not forced to the disk", reason=fault)
        self._fault = fault

    # In the loop.

    async def _tell_all(self) -> None:
        while True:
            await asyncio.sleep(_SECOND_S)
            await self._tell()

    async def _tell(self) -> None:
        """Add lines to the audit. If Redis was not asked, they wait; if it was, they may be there, and are dropped."""
        if not self._kept:
            items, dropped = self._audit.take(_AT_ONCE)
            self._missing_in_audit.note(dropped, "more than Redis is given")
            for line, times in items:
                self._kept[line] += times
        if not self._kept:
            return
        try:
            await self._link.run(account(self._keys, self._options, self._by, self._kept))
        except EccmgrError as error:
            if isinstance(error, RedisUnreachable) and not error.asked:
                return
            self._missing_in_audit.note(self._kept.total(), str(error))
        self._kept.clear()


def _line_of(noted: _Noted) -> str:
    wall_s, event = noted
    caller, command, role = event.caller, "", ""
    if isinstance(event, _SignIn):
        letter, outcome = _OUTCOMES[event.outcome]
    else:
        letter, outcome, role = AUTHORIZATION, event.verdict.value, event.role
        command = without_secrets(event.command)
        if event.verdict is Admission.REFUSED:
            command = shortened(command)
    listener = caller.listener or caller.origin.value
    return AccountLine(letter, listener, caller.peer, caller.user, outcome, command, role).at(wall_s)


def _size(noted: _Noted) -> int:
    event = noted[1]
    return len(event.command) if isinstance(event, Judged) else 0


def _cut(line: str) -> str:
    return line if len(line) <= _AUDIT_LINE_MAX else f"{line[:_AUDIT_LINE_MAX]}…"
