"""Authentic answers: a node seals each of its answers for each manager, with a secret that only the two share.

A seal is an HMAC-SHA-256, which costs a fiftieth of a signature to verify.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from eccmgr.access.keys import PublicKey, SigningKey
from eccmgr.access.trusted_keys import TrustedKeys

_PURPOSE = b"eccmgr/1/answer"
_FIELDS = 6
_SECRETS_MAX = 30_000
_MANAGERS_MAX = 64


class SealedAnswer(NamedTuple):
    """Everything that a seal covers: the command's id, the digest of its statement (`of`), and the answer of a
    session."""

    id: str
    of: str
    private_name: str
    state: str
    took_ms: int
    flags: str
    body: bytes

    def packed(self) -> bytes:
        """The bytes that are sealed. Two different answers never give the same bytes. Raises ValueError."""
        command, of, private_name, state, took_ms, flags, body = self
        head = f"{command}\n{of}\n{private_name}\n{state}\n{took_ms}\n{flags}\n"
        if head.count("\n") != _FIELDS:
            raise ValueError("a field of the answer holds a line break")
        return head.encode() + hashlib.sha256(body).digest()


class Mac:
    """HMAC-SHA-256 with one secret, which is hashed once and not for each message."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.hmac import HMAC

        self._begun = HMAC(secret, hashes.SHA256())

    def of(self, message: bytes) -> str:
        """The MAC of `message` in hexadecimal."""
        mac = self._begun.copy()
        mac.update(message)
        return mac.finalize().hex()


class Secrets:
    """The secrets that `key` of `cluster` shares with other keys, each for the answers of one node."""

    def __init__(self, key: SigningKey, cluster: str) -> None:
        self._key = key
        self._cluster = cluster
        self._known: dict[tuple[bytes, str], Mac] = {}

    def with_other(self, other: PublicKey, node: str) -> Mac:
        """The MAC with the secret that is shared with `other` for the answers of `node`."""
        known = (other.raw, node := node.lower())
        if (secret := self._known.get(known)) is None:
            if len(self._known) >= _SECRETS_MAX:
                self._known.clear()
            purpose = _packed([_PURPOSE, self._cluster.encode(), node.encode()])
            secret = self._known[known] = Mac(self._key.shared_with(other, purpose))
        return secret


class AnswerSealer:
    """Seals the answers of `node` for every manager that it trusts. Without a `key` nothing is sealed."""

    def __init__(self, key: SigningKey | None, cluster: str, node: str, managers: Callable[[], TrustedKeys]) -> None:
        self._secrets = None if key is None else Secrets(key, cluster)
        self._node = node.lower()
        self._managers = managers
        self._made_for: TrustedKeys | None = None
        self._macs: list[tuple[str, Mac]] = []

    def seals(self, answer: SealedAnswer) -> bytes:
        """The seals of an answer, a word for each manager (KID:SEAL); empty if nothing is sealed."""
        if self._secrets is None:
            return b""
        if (managers := self._managers()) is not self._made_for:
            secrets = self._secrets
            self._macs = [(manager.kid, secrets.with_other(manager, self._node)) for manager in managers.keys]
            self._made_for = managers
        packed = answer.packed()
        return " ".join([f"{kid}:{mac.of(packed)}" for kid, mac in self._macs]).encode()


def is_sealed(answer: SealedAnswer, seals: bytes, kid: str, mac: Mac) -> bool:
    """Whether one of `seals` is the seal of `answer` for the manager whose key is `kid`; `mac` is for its node."""
    try:
        expected = f"{kid}:{mac.of(answer.packed())}".encode()
    except ValueError:
        return False
    # Most nodes trust one manager.
    if hmac.compare_digest(seals, expected):
        return True
    return any(hmac.compare_digest(word, expected) for word in seals.split(b" ")[:_MANAGERS_MAX])


def _packed(fields: Sequence[bytes]) -> bytes:
    """Their number and their lengths, then the fields: two different sequences never give the same bytes."""
    return struct.pack(f"!{len(fields) + 1}I", len(fields), *map(len, fields)) + b"".join(fields)
