"""The caller on one connection: who it is, what the listener allows it, and its sign-in."""

import dataclasses
import json
import math
import socket
import time
from typing import Any, NamedTuple

from eccmgr.access.verifiers import Verifier, is_user
from eccmgr.commands.caller import Access, Caller
from eccmgr.commands.gate import Authentication, Gate
from eccmgr.control import limits
from eccmgr.control.authentication import ATTEMPTS_MAX, SignIn
from eccmgr.control.barred import Barred
from eccmgr.control.limits import Terms
from eccmgr.control.peer import RemoteEnd

_SCRAM = "scram:"
NOT_ASKED = json.dumps({"ok": False, "error": "This listener does not ask for authentication"}).encode()


class Signing(NamedTuple):
    """The result of one AUTH frame: its answer, whether it ended an attempt, and how (None: not yet)."""

    payload: bytes
    succeeded: bool | None = None
    over: bool = False
    """Whether the connection ends, because there were too many attempts."""


class Visitor:
    """The caller on a connection to a listener with `terms`.

    The kernel tells the user behind a Unix socket. A caller over TCP is known by its certificate, or once it has signed
    in; the listener's rules may let it do without.
    """

    def __init__(
        self, gate: Gate, terms: Terms, remote: RemoteEnd, family: int, certificate: Any, caller: Caller
    ) -> None:
        """`family` is that of the socket, `certificate` what the TLS layer has verified of the peer's, if anything.
        `caller` has what the connection itself knows of the caller."""
        self.remote = remote
        self._user = remote.user
        self._gate = gate
        self._terms = terms
        self._began = time.monotonic()
        self._is_remote = family != socket.AF_UNIX
        rule = terms.limits.peers.rule_for(remote.place) if self._is_remote else None
        self.denied = rule is not None and rule.deny
        self._exempt = rule is not None and rule.allow
        self._signed_in = False
        self._verifier: Verifier | None = None
        """The verifier of the password with which the caller has signed in; None if no password was asked for."""
        self._sign_in = SignIn(terms.verifiers, terms.binding)
        if self._is_remote and (name := _common_name(certificate)):
            self._user, self._signed_in = f"cert:{name}", True
        if remote.uid is not None:
            self._user = terms.users.known(remote.uid) or remote.user
        self.caller = caller
        """The caller of the next command, as the listener sees it."""
        self.limit()

    def limit(self) -> None:
        """Give the caller its name, and the limits that its listener has now."""
        limited = self._terms.limits.authorize
        self.caller = dataclasses.replace(self.caller, user=self._user, access=self.access, limited=limited)

    def entered(self) -> None:
        """Note the sign-in of a caller whose certificate has told who it is."""
        if self._signed_in:
            self._gate.on_signed_in(self.caller, Authentication.SUCCEEDED)

    @property
    def is_identified(self) -> bool:
        """Whether the caller's name was looked up within the last minute; a caller over TCP has none."""
        uid = self.remote.uid
        return uid is None or self._terms.users.known(uid) == self._user

    async def identify(self) -> None:
        """Find out the name of a caller on this host, which may have changed."""
        if self.remote.uid is not None:
            self._user = await self._terms.users.name_of(self.remote.uid)
            self.limit()

    @property
    def sign_in_s(self) -> float:
        """The seconds that the caller has left to sign in, whatever it does meanwhile; without end if it need not."""
        return limits.FRAME_S - (time.monotonic() - self._began) if self.barred else math.inf

    def timed_out(self) -> None:
        """The connection ends because nothing happened: note whether the caller had to sign in, and did not."""
        if self.barred:
            self._gate.on_signed_in(self._claiming, Authentication.TIMED_OUT)

    @property
    def _claiming(self) -> Caller:
        """The caller under the identity that it claims."""
        claimed = self._sign_in.claimed
        return dataclasses.replace(self.caller, user=f"{_SCRAM}{claimed}") if claimed else self.caller

    @property
    def access(self) -> Access:
        """The commands that the listener allows to this caller."""
        known = not self._is_remote or self._has_signed_in or self._exempt
        return Access.ALL if known or self._terms.limits.insecure else Access.OPEN

    @property
    def barred(self) -> Barred | None:
        """The answer to every command of a caller that has to sign in first; None if it need not."""
        demanded = self._terms.limits.authenticate and self._is_remote and not self._exempt
        return Barred.UNKNOWN_CALLER if demanded and not self._has_signed_in else None

    @property
    def _has_signed_in(self) -> bool:
        """Whether the caller has proven who it is. A password counts no longer once its verifier was removed or
        replaced."""
        kept = self._verifier is None or self._verifier == self._verifier_of(self._user)
        return self._signed_in and kept

    def _verifier_of(self, user: str) -> Verifier | None:
        return self._terms.verifiers().users.get(user.removeprefix(_SCRAM))

    def sign_in(self, payload: bytes) -> Signing:
        """Take an AUTH frame."""
        if not self.barred:
            return Signing(NOT_ASKED)
        step = self._sign_in.take(payload)
        if step.user is not None:
            self._user, self._signed_in = f"{_SCRAM}{step.user}", True
            self._verifier = self._verifier_of(self._user)
            self.limit()
            self._gate.on_signed_in(self.caller, Authentication.SUCCEEDED)
            return Signing(step.payload, True)
        if step.failed:
            self._gate.on_signed_in(self._claiming, Authentication.FAILED)
            return Signing(step.payload, False, self._sign_in.failures >= ATTEMPTS_MAX)
        return Signing(step.payload)


def _common_name(certificate: Any) -> str:
    """The common name of the subject in a certificate that was verified; "" if it has none that can be a user's."""
    if not certificate:
        return ""
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if len(names) == 1 and is_user(names[0]) else ""
