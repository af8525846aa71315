"""The verifiers with which a listener checks passwords (SCRAM-SHA-256, RFC 5802 and 7677). They are no passwords.

A line is `USER:SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, as PostgreSQL writes verifiers, in base 64.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 50_000
_ITERATIONS_MIN, _ITERATIONS_MAX = 4096, 10_000_000
_SALT_BYTES = 16
_LONGEST_NAME = 64


class Verifier(NamedTuple):
    """What is kept of a user's password, in the order of scramp's callback."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    @classmethod
    def of(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> "Verifier":
        """The verifier of a password. Raises ValueError for one that is empty or cannot be prepared (SASLprep)."""
        from scramp import ScramException, ScramMechanism  # imported here: most daemons do not need it

        try:
            return cls(*ScramMechanism(MECHANISM).make_auth_info(password, iterations, salt))
        except ScramException as error:
            raise ValueError(f"the password cannot be used: {error}") from None

    @classmethod
    def parse(cls, text: str) -> "Verifier":
        """Read a verifier. Raises ValueError, whose text holds none of it."""
        try:
            mechanism, numbers, keys = text.split("$")
            iterations, salt = numbers.split(":")
            stored, server = keys.split(":")
            found = cls(_decoded(salt), _decoded(stored), _decoded(server), int(iterations))
        except ValueError:
            raise ValueError(f"expected {MECHANISM}$ITERATIONS:SALT$STORED_KEY:SERVER_KEY") from None
        if mechanism != MECHANISM or len(found.stored_key) != 32 or len(found.server_key) != 32 or len(found.salt) < 12:
            raise ValueError(f"expected a verifier of {MECHANISM}")
        if not _ITERATIONS_MIN <= found.iterations <= _ITERATIONS_MAX:
            raise ValueError(f"expected from {_ITERATIONS_MIN} up to {_ITERATIONS_MAX} iterations")
        return found

    def __str__(self) -> str:
        salt, stored, server = (base64.b64encode(part).decode() for part in self[:3])
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"


@dataclass(frozen=True)
class Verifiers:
    """The verifiers of all users. `secret` makes up the salts of unknown users, so that they look like known ones."""

    users: Mapping[str, Verifier] = field(default_factory=dict)
    secret: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> "Verifiers":
        """Read a file of verifiers. Raises ValueError with the number of the faulty line."""
        users: dict[str, Verifier] = {}
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            entry = line.strip()
            if not entry or entry.startswith("#"):
                continue
            user, colon, verifier = entry.partition(":")
            try:
                if not colon or not is_user(user):
                    raise ValueError("expected USER:VERIFIER")
                users[user] = Verifier.parse(verifier)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
        return cls(users, hashlib.sha256(b"unknown users\0" + data).digest())

    def of(self, user: str) -> Verifier:
        """The verifier of `user`; for an unknown user one that no password fits, always the same."""
        if user in self.users:
            return self.users[user]
        made_up = (hmac.digest(self.secret, f"{part}\0{user}".encode(), "sha256") for part in ("salt", "key", "server"))
        salt, stored, server = made_up
        iterations = next((known.iterations for known in self.users.values()), ITERATIONS)
        return Verifier(salt[:_SALT_BYTES], stored, server, iterations)


def is_user(name: str) -> bool:
    """Whether `name` can be a user's: printable, without the separators of the files and accounts that hold it."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not set(name) & set(" ,:=@\\")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
