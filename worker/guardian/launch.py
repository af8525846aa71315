"""Gets an agent its guardian: from the parent that started the agent, or from the agent itself if it has no parent."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
from collections.abc import Sequence
from typing import Protocol

from eccmgr.host.log_lines import FORMAT, JOURNAL
from worker.guardian.charter import Charter, write_charter
from worker.isolation import CLEAN, isolated

CONTROL = "ECCMGR_GUARDIANS"
"""The environment variable that names the descriptor over which the agent asks the parent for guardians."""

ANOTHER = b"another guardian"
_ANSWER_S = 10.0
REASON_BYTES = 1024
"""The maximum size of the parent's reason for a missing guardian, in bytes."""


class NoGuardian(Exception):
    """Raised if there is no guardian to be had."""


class Guardians(Protocol):
    """A source of guardians."""

    def another(self) -> socket.socket:
        """Kill the present guardian, if there is one, and return the socket to a fresh one, not blocking.

        Takes some milliseconds. Raises NoGuardian.
        """

    async def orphaned(self) -> None:
        """Wait until the parent that started this process is gone; without a parent, for ever."""

    def close(self) -> None:
        """Release it; the guardian goes down by itself once the agent's end of its socket is closed."""


def find_guardians(program: str = "", charter: Charter = Charter()) -> Guardians:  # noqa: B008 — frozen
    """The parent as the source if it started this process; else a source of our own, whose plumber `exec` runs
    `program`."""
    named = os.environ.get(CONTROL)
    return ParentGuardians(socket.socket(fileno=int(named))) if named else OwnGuardians(program, charter)


class ParentGuardians:
    """Guardians that a privileged parent starts."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        control.settimeout(_ANSWER_S)
        control.set_inheritable(False)

    def another(self) -> socket.socket:
        """Ask the parent, which sends the socket itself."""
        try:
            self._control.send(ANOTHER)
            said, descriptors, _, _ = socket.recv_fds(self._control, REASON_BYTES, 1)
        except OSError as error:
            raise NoGuardian(f"the parent does not answer: {error}") from None
        if not descriptors:
            raise NoGuardian(said.decode(errors="replace") or "the parent is gone")
        made = socket.socket(fileno=descriptors[0])
        made.setblocking(False)
        return made

    async def orphaned(self) -> None:
        """Wait for the end of the parent, which alone holds the other end of the socket."""
        loop, gone, poll = asyncio.get_running_loop(), asyncio.Event(), select.poll()
        # This does not wait for bytes to read, which are an answer to `another`.
        poll.register(self._control, 0)
        loop.add_reader(self._control.fileno(), lambda: gone.set() if poll.poll(0) else None)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._control.fileno())

    def close(self) -> None:
        """Close the socket to the parent."""
        self._control.close()


class OwnGuardians:
    """Guardians that are children of the agent, with the agent's own rights."""

    def __init__(self, program: str, charter: Charter, options: Sequence[str] = ()) -> None:
        self._program, self._charter, self._options = program, charter, options
        self.present: subprocess.Popen[bytes] | None = None

    def another(self) -> socket.socket:
        """Start a guardian, after the old one has ended."""
        try:
            self._end(0.0)
            ours, theirs = socket.socketpair()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoGuardian(f"the old guardian does not end: {error}") from None
        with theirs:
            try:
                self.present = start_guardian(theirs, self._program, self._charter, self._options)
            except OSError as error:
                ours.close()
                raise NoGuardian(f"the guardian does not start: {error}") from None
        ours.setblocking(False)
        return ours

    async def orphaned(self) -> None:
        """Wait for ever: there is no parent."""
        await asyncio.Event().wait()

    def close(self) -> None:
        """Wait for its end. Close the agent's end of its socket first, so that it goes down by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._end(_ANSWER_S)

    def _end(self, timeout_s: float) -> None:
        if self.present is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.present.wait(timeout_s)
            self.present.kill()
            self.present.wait(_ANSWER_S)
            self.present = None


def start_guardian(
    end: socket.socket, program: str, charter: Charter, options: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a guardian for the agent at the other end of `end`. Raises OSError."""
    given = write_charter(charter)
    words = ("--agent", str(end.fileno()), "--charter", str(given), "--exec", program, *options)
    try:
        return subprocess.Popen(  # noqa: S603 — ourselves
            # It imports only the standard library and our own packages, so no other folder is on its path.
            isolated("worker.guardian", *words, others=False),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            pass_fds=(end.fileno(), given),
            start_new_session=True,
        )
    finally:
        os.close(given)


def _environment() -> dict[str, str]:
    """The guardian's environment: of ours only the form of the log. A guardian without rights of its own has its lock
    in the home of its user."""
    ours = (FORMAT, JOURNAL) if os.geteuid() == 0 else (FORMAT, JOURNAL, "HOME")
    return {**CLEAN, **{name: os.environ[name] for name in ours if name in os.environ}}
