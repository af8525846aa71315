"""The sign-in of a caller on a listener that demands it: AUTH frames, SCRAM-SHA-256 on the server's side."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from eccmgr.access.verifiers import MECHANISM, Verifiers, is_user

if TYPE_CHECKING:
    from scramp.core import ScramServer

ATTEMPTS_MAX = 3
FAILED = "Authentication failed"
_LONGEST = 4096
_NO_AUTHZID = ("n,,", "y,,", "p=tls-server-end-point,,")


class _AuthFrame(msgspec.Struct):
    data: str
    mechanism: str = ""
    user: str = ""


_auth_frame = msgspec.json.Decoder(_AuthFrame)


@dataclass(frozen=True)
class SignInStep:
    """The answer to one AUTH frame. `user` has signed in, if not None; `failed`: this attempt is over without that."""

    payload: bytes
    user: str | None = None
    failed: bool = False


class SignIn:
    """The sign-in of one connection, which may take several attempts.

    `verifiers` answers those in force; `binding` is the channel binding `tls-server-end-point` of a TLS connection.
    """

    def __init__(self, verifiers: Callable[[], Verifiers], binding: bytes | None = None) -> None:
        self._verifiers = verifiers
        self._binding = binding
        self._exchange: ScramServer | None = None
        self._user = ""
        self.failures = 0
        self.claimed = ""
        """The user who the client says to be."""

    def take(self, payload: bytes) -> SignInStep:
        """Take one AUTH frame. A wrong user and a wrong password get the same answers."""
        from scramp import ScramException

        try:
            if len(payload) > _LONGEST:
                raise ValueError("too long")
            frame = _auth_frame.decode(payload)
            data = base64.b64decode(frame.data, validate=True).decode()
            if self._exchange is None:
                return SignInStep(_said({"data": _encoded(self._begin(frame, data))}))
            return self._finish(data)
        except (ValueError, msgspec.DecodeError, ScramException):
            return self._fail()

    def _begin(self, frame: _AuthFrame, first: str) -> str:
        """Take the client's first message. Raises ValueError and ScramException."""
        from scramp import ScramMechanism

        self.claimed = frame.user if is_user(frame.user) else ""
        if frame.mechanism != MECHANISM or not first.startswith(_NO_AUTHZID):
            raise ValueError("another mechanism, or on behalf of another user")
        binding = None if self._binding is None else ("tls-server-end-point", self._binding)
        asked: list[str] = []

        def verifier_of(user: str) -> tuple[bytes, bytes, bytes, int]:
            asked.append(user)
            return self._verifiers().of(user)

        exchange = ScramMechanism(MECHANISM).make_server(verifier_of, channel_binding=binding)
        exchange.set_client_first(first)
        if asked != [frame.user]:
            raise ValueError("another user's name in the exchange")
        self._exchange, self._user = exchange, frame.user
        return str(exchange.get_server_first())

    def _finish(self, final: str) -> SignInStep:
        """Take the client's final message. Raises ValueError and ScramException."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        exchange.set_client_final(final)
        server_final = str(exchange.get_server_final())
        # The verifier may have been removed meanwhile, and one that was made up fits no password.
        if self._user not in self._verifiers().users:
            raise ValueError("unknown user")
        return SignInStep(_said({"data": _encoded(server_final), "ok": True}), self._user)

    def _fail(self) -> SignInStep:
        self._exchange = None
        self.failures += 1
        return SignInStep(_said({"ok": False, "error": FAILED}), failed=True)


def _said(fields: dict[str, object]) -> bytes:
    return msgspec.json.encode(fields)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
