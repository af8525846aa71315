"""Ed25519 keys: their one-line form, their files, and the secret that two of them share.

A public key is the line `ed25519:BASE64 NAME until DATE`; the key counts to the end of that day, UTC.
"""

import base64
import datetime as dt
import functools
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eccmgr.errors import SettingsError
from eccmgr.text.naming import is_plain_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

# `cryptography` is imported where a key is used: it takes 8 MiB, and a daemon without keys does not need it.

_PUBLIC = "ed25519:"
_PRIVATE = "ed25519-private:"
_RAW_BYTES = 32
_LONGEST_LINE = 1024
_LAST_YEAR = 2999
# The prime of the field over which both curves are defined.
_FIELD = 2**255 - 19
_SIGNATURE_BYTES = 64


@dataclass(frozen=True)
class PublicKey:
    """The public half of a key: its 32 bytes, its name, and the last day on which it counts."""

    raw: bytes
    name: str
    until: dt.date

    @classmethod
    def parse(cls, line: str) -> "PublicKey":
        """Read `ed25519:BASE64 NAME until DATE`. Raises ValueError."""
        key = cls(*_fields(line, _PUBLIC))
        _ = key._ed25519
        return key

    def __str__(self) -> str:
        return _line(_PUBLIC, self.raw, self.name, self.until)

    @functools.cached_property
    def kid(self) -> str:
        """The name under which signed statements refer to this key: 16 hexadecimal digits of its SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def counts_at(self, wall_ms: int) -> bool:
        """Whether the key still counts at a time on the wall clock."""
        return wall_ms < self._end_ms

    def days_left(self, wall_ms: int) -> int:
        """The whole days for which the key still counts; negative if it has ended."""
        return (self._end_ms - wall_ms) // 86_400_000

    @functools.cached_property
    def _end_ms(self) -> int:
        end = dt.datetime.combine(self.until, dt.time(), dt.UTC) + dt.timedelta(days=1)
        return int(end.timestamp() * 1000)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's signature of `data`."""
        return len(signature) == _SIGNATURE_BYTES and self._fits(signature, data)

    @functools.cached_property
    def _fits(self) -> Callable[[bytes, bytes], bool]:
        """Does the work of `verify`. It is made once, because an import costs a tenth of a verification."""
        from cryptography.exceptions import InvalidSignature

        verify = self._ed25519.verify

        def fits(signature: bytes, data: bytes) -> bool:
            try:
                verify(signature, data)
            except InvalidSignature:
                return False
            return True

        return fits

    @functools.cached_property
    def _ed25519(self) -> "Ed25519PublicKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(self.raw)

    @functools.cached_property
    def agreement_key(self) -> "X25519PublicKey":
        """The same key for agreements: the point mapped to Curve25519 (RFC 7748, section 4.1)."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        y = int.from_bytes(self.raw, "little") & ((1 << 255) - 1)
        u = (1 + y) * pow(1 - y, _FIELD - 2, _FIELD) % _FIELD
        return X25519PublicKey.from_public_bytes(u.to_bytes(_RAW_BYTES, "little"))


class SigningKey:
    """The private half of a key."""

    def __init__(self, seed: bytes, name: str, until: dt.date) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._private.public_key().public_bytes_raw(), name, until)

    @classmethod
    def parse(cls, line: str) -> "SigningKey":
        """Read the line of a key file. Raises ValueError, whose text never holds the key."""
        return cls(*_fields(line, _PRIVATE))

    def line(self) -> str:
        """The line of a key file; a secret."""
        return _line(_PRIVATE, self._seed, self.public.name, self.public.until)

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, 64 bytes."""
        return self._private.sign(data)

    def shared_with(self, other: PublicKey, purpose: bytes) -> bytes:
        """The 32 secret bytes that this key and `other` share for `purpose` (X25519, then HKDF-SHA-256)."""
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        own = X25519PrivateKey.from_private_bytes(hashlib.sha512(self._seed).digest()[:_RAW_BYTES])
        return HKDF(SHA256(), _RAW_BYTES, None, purpose).derive(own.exchange(other.agreement_key))


def read_signing_key(path: Path) -> SigningKey:
    """Read a key file that only its owner can read. Raises SettingsError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise SettingsError(f"The key file {path} is not a regular file")
        if about.st_uid not in (0, os.geteuid()) or (about.st_mode & 0o077 and not _is_credential(about)):
            mode = stat.S_IMODE(about.st_mode)
            raise SettingsError(f"The key file {path} has mode {mode:04o} and owner {about.st_uid}; it must be 0400")
        line = file.read(_LONGEST_LINE).decode("ascii", "replace")
    try:
        return SigningKey.parse(line)
    except ValueError as error:
        raise SettingsError(f"The key file {path} holds no key: {error}") from None


def _is_credential(about: os.stat_result) -> bool:
    """Whether a file is root's, and its group is root's own: so systemd passes a credential to a service.

    The group's bit then stands for an access list, which names the user of the service alone.
    """
    return (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (0, 0, 0o440)


def write_key_files(folder: Path, key: SigningKey) -> tuple[Path, Path]:
    """Write `NAME.key` (0400) and `NAME.pub` (0444) into `folder`, and make the folder if it is missing; answers both
    paths.

    Never replaces a file. Raises SettingsError.
    """
    paths = folder / f"{key.public.name}.key", folder / f"{key.public.name}.pub"
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be made: {error.strerror}") from None
    if taken := [path for path in paths if os.path.lexists(path)]:
        raise SettingsError(f"{taken[0]} exists; remove it first, or choose another name")
    for path, mode, line in zip(paths, (0o400, 0o444), (key.line(), str(key.public)), strict=True):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except OSError as error:
            raise SettingsError(f"{path} cannot be written: {error.strerror}") from None
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, mode)
            file.write(line + "\n")
    return paths


def _fields(line: str, kind: str) -> tuple[bytes, str, dt.date]:
    words = line.split()
    if len(words) != 4 or words[2] != "until" or not words[0].startswith(kind):
        raise ValueError(f"a key is written as {kind}BASE64 NAME until YYYY-MM-DD")
    if not is_plain_name(words[1]):
        raise ValueError(f"'{words[1][:80]}' is not the name of a key: 1 to 63 of A-Z a-z 0-9 . _ -")
    try:
        raw = base64.b64decode(words[0].removeprefix(kind), validate=True)
    except ValueError:
        raise ValueError("the key is not written in base 64") from None
    if len(raw) != _RAW_BYTES:
        raise ValueError(f"the key has {len(raw)} bytes, not {_RAW_BYTES}")
    try:
        until = dt.date.fromisoformat(words[3])
    except ValueError:
        raise ValueError(f"'{words[3][:80]}' is not a day: YYYY-MM-DD") from None
    if until.year > _LAST_YEAR:
        raise ValueError(f"a key ends in the year {_LAST_YEAR} at the latest")
    return raw, words[1], until


def _line(kind: str, raw: bytes, name: str, until: dt.date) -> str:
    return f"{kind}{base64.b64encode(raw).decode()} {name} until {until.isoformat()}"
