"""The privileged parent: starts the guardian with its rights and the agent without, and restarts each when it ends.

A spare guardian always waits, its imports done. So it takes the place of a killed guardian at once.
"""

import contextlib
import os
import pwd
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.guardian.charter import Charter
from worker.guardian.launch import ANOTHER, CONTROL, REASON_BYTES, start_guardian

Log = Callable[..., None]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_WELL_AFTER_S = 10.0
_GUARDIAN_ENDS_S = 3.0
_AGENT_ENDS_S = 30.0


@dataclass
class _Guardian:
    process: subprocess.Popen[bytes]
    agents_end: socket.socket | None
    """The agent's end of the socket; None once the agent has it."""


class Pause:
    """The seconds to wait before a restart. They double with each short life, and are few again after a long life."""

    def __init__(self) -> None:
        self._next_s = _FIRST_PAUSE_S

    def after(self, lived_s: float) -> float:
        """The seconds to wait after a life of `lived_s`."""
        if lived_s >= _WELL_AFTER_S:
            self._next_s = _FIRST_PAUSE_S
        pause, self._next_s = self._next_s, min(_LONGEST_PAUSE_S, self._next_s * 2)
        return pause


class Parent:
    """Runs until the agent ends with status 0 or 2 (the agent refuses to run like this), or until a signal tells it to
    stop."""

    def __init__(
        self,
        agent: Sequence[str],
        user: str,
        program: str,
        log: Log,
        *,
        charter: Charter = Charter(),  # noqa: B008 — frozen
        environment: Mapping[str, str] | None = None,
        given: Sequence[int] = (),
    ) -> None:
        """If this process is root, the agent runs as `user`; its environment is ours and `environment`.

        It inherits the descriptors that are `given` to it.
        From here on all of this is fixed, and nothing is read again. Raises OSError for an unknown user.
        """
        self._command, self._program, self._charter, self._log = agent, program, charter, log
        self._environment, self._given = environment or {}, tuple(given)
        self._account = _account(user)
        self._control, self._agents_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._wake, self._wake_end = socket.socketpair()
        self._wake_end.setblocking(False)
        self._present: _Guardian | None = None
        self._spare: _Guardian | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        self._agent_pause, self._spare_pause = Pause(), Pause()
        self._agent_at = self._spare_at = self._agent_since = self._spare_since = 0.0
        self._present_for: subprocess.Popen[bytes] | None = None
        self._stop = 0

    def run(self) -> int:
        """Run; answers the exit status of the agent."""
        previous = {each: signal.signal(each, self._told) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        previous_wake = signal.set_wakeup_fd(self._wake_end.fileno(), warn_on_full_buffer=False)
        try:
            while True:
                status = self._turn()
                if status is not None:
                    return status
        finally:
            signal.set_wakeup_fd(previous_wake)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._end_all()

    def _turn(self) -> int | None:
        now = time.monotonic()
        status = self._look_after_agent(now)
        if status is not None:
            return status
        self._look_after_spare(now)
        starts = [at for at in (self._agent_at, self._spare_at) if at > now]
        readable, _, _ = select.select(
            [self._control, self._wake], [], [], min([each - now for each in starts] + [1.0])
        )
        if self._wake in readable:
            self._wake.recv(4096)
        if self._control in readable and self._control.recv(64) == ANOTHER:
            self._give_another()
        return None

    def _look_after_agent(self, now: float) -> int | None:
        if self._agent is not None:
            status = self._agent.poll()
            if status is None:
                return None
            if status in (0, 2) or self._stop:
                return max(0, status)
            pause = self._agent_pause.after(now - self._agent_since)
            self._log("agent ended; it is started again", status=status, pause_s=pause)
            self._agent, self._agent_at = None, now + pause
        if self._stop:
            return 0
        if now >= self._agent_at:
            try:
                self._agent, self._agent_since = self._start_agent(), now
            except OSError as error:
                if not self._agent_since:
                    raise
                pause = self._agent_pause.after(0.0)
                self._log("the agent does not start; that is tried again", reason=str(error), pause_s=pause)
                self._agent_at = now + pause
        return None

    def _look_after_spare(self, now: float) -> None:
        if self._spare is not None and self._spare.process.poll() is not None:
            pause = self._spare_pause.after(now - self._spare_since)
            self._log("spare guardian ended; it is started again", status=self._spare.process.returncode, pause_s=pause)
            _close(self._spare)
            self._spare, self._spare_at = None, now + pause
        if self._spare is None and now >= self._spare_at:
            self._have_spare(now)

    def _have_spare(self, now: float) -> str:
        """Start a spare guardian; answers "", or the reason why that is not possible."""
        try:
            self._spare, self._spare_since = self._start_guardian(), now
        except OSError as error:
            pause = self._spare_pause.after(0.0)
            self._log("a guardian does not start; that is tried again", reason=str(error), pause_s=pause)
            self._spare_at = now + pause
            return f"the guardian does not start: {error}"
        return ""

    def _give_another(self) -> None:
        """Give the agent another guardian. Before that, the old one is dead."""
        if self._present is not None:
            # If the agent is new too, the guardian of the old agent gets time to end the session.
            _end(self._present, _GUARDIAN_ENDS_S if self._present.process.poll() is None and self._is_new() else 0.0)
        self._present = None
        if self._spare is not None and self._spare.process.poll() is not None:
            _close(self._spare)
            self._spare = None
        why = self._have_spare(time.monotonic()) if self._spare is None else ""
        if self._spare is None:
            with contextlib.suppress(OSError):
                self._control.settimeout(1.0)
                self._control.send(why.encode()[:REASON_BYTES])
            return
        self._present, self._spare = self._spare, None
        self._present_for = self._agent
        assert self._present.agents_end is not None
        with contextlib.suppress(OSError), self._present.agents_end as end:
            self._control.settimeout(1.0)
            socket.send_fds(self._control, [b"here"], [end.fileno()])
        self._present.agents_end = None

    def _is_new(self) -> bool:
        return self._present_for is not self._agent

    def _start_agent(self) -> subprocess.Popen[bytes]:
        given = self._agents_control.fileno()
        user, group, groups = self._account
        return subprocess.Popen(  # noqa: S603 — the node's own program
            self._command,
            env={**os.environ, **self._environment, CONTROL: str(given)},
            pass_fds=(given, *self._given),
            user=user,
            group=group,
            extra_groups=groups,
        )

    def _start_guardian(self) -> _Guardian:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                return _Guardian(start_guardian(theirs, self._program, self._charter), ours)
            except OSError:
                ours.close()
                raise

    def _told(self, number: int, _: object) -> None:
        if number != signal.SIGHUP:
            self._stop = number
        if self._agent is not None:
            with contextlib.suppress(ProcessLookupError):
                self._agent.send_signal(number)

    def _end_all(self) -> None:
        if self._agent is not None:
            try:
                self._agent.wait(_AGENT_ENDS_S if self._stop else 0.0)
            except subprocess.TimeoutExpired:
                self._agent.kill()
                self._agent.wait()
        if self._spare is not None:
            _close(self._spare)
            _end(self._spare, _GUARDIAN_ENDS_S)
        if self._present is not None:
            _end(self._present, _GUARDIAN_ENDS_S)
        for end in (self._control, self._agents_control, self._wake, self._wake_end):
            end.close()


def _end(guardian: _Guardian, timeout_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        guardian.process.wait(timeout_s)
    guardian.process.kill()
    guardian.process.wait()


def _close(guardian: _Guardian) -> None:
    if guardian.agents_end is not None:
        guardian.agents_end.close()
        guardian.agents_end = None


def _account(user: str) -> tuple[int, int, list[int]] | tuple[None, None, None]:
    """User, group and further groups of the agent; None for each if this process may not change its user."""
    if os.geteuid() != 0 or not user:
        return None, None, None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise OSError(f"there is no user {user}") from None
    return entry.pw_uid, entry.pw_gid, []
