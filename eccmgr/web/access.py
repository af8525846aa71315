"""Who may see the pages: from where, under which host's name, and with which proof. Pure but for the token file."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.text.hostport import read_host_port
from eccmgr.text.network import plain_address

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
METHODS = ("GET", "HEAD")


@dataclass(frozen=True)
class Tokens:
    """The digests of tokens, each with its user. A line of the file is `USER:TOKEN`."""

    users: Mapping[bytes, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Tokens":
        """Read the lines of a token file. Raises ValueError, whose text repeats nothing of the file."""
        users = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            user, colon, token = line.strip().partition(":")
            if not colon or not user or len(token) < TOKEN_MIN:
                raise ValueError(f"line {number}: expected USER:TOKEN, the token with {TOKEN_MIN} characters or more")
            users[hashlib.sha256(token.encode()).digest()] = user
        return cls(users)

    def user_of(self, token: str) -> str | None:
        """The user whose token this is; None if it is nobody's."""
        asked = hashlib.sha256(token.encode()).digest()
        found = None
        for digest, user in self.users.items():
            if hmac.compare_digest(digest, asked):
                found = user
        return found


TOKEN_MIN = 20


def credentials(header: str) -> tuple[str, str]:
    """The scheme of an `Authorization` header in small letters, and its token, or `USER:PASSWORD` if it is basic."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return scheme.lower(), rest.strip()
    try:
        return "basic", base64.b64decode(rest.strip(), validate=True).decode()
    except ValueError:
        return "basic", ""


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of the loopback's."""
    try:
        return plain_address(address).is_loopback
    except ValueError:
        return False


def host_is_known(header: str, listen: str, names: Sequence[str]) -> bool:
    """Whether a `Host` header names this listener: by one of `names`, by its address, or as localhost.

    A page elsewhere can have a browser ask under a foreign name that resolves to us (DNS rebinding).
    """
    try:
        host, _ = read_host_port(header, default_port=80)
    except ValueError:
        return False
    host = host.lower()
    if host in ("localhost", *(name.lower() for name in names)):
        return True
    try:
        address = plain_address(host)
    except ValueError:
        return False
    bound = plain_address(listen)
    return address == bound or bound.is_unspecified or (bound.is_loopback and address.is_loopback)
