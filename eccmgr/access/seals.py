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
_SECRETS_MAX = 100_000
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
        """The bytes that are sealed."""
        *said, body = self
        return _packed([*(str(field).encode() for field in said), hashlib.sha256(body).digest()])


class Secrets:
    """The secrets that `key` of `cluster` shares with other keys, each for the answers of one node."""

    def __init__(self, key: SigningKey, cluster: str) -> None:
        self._key = key
        self._cluster = cluster
        self._known: dict[tuple[bytes, str], bytes] = {}

    def with_other(self, other: PublicKey, node: str) -> bytes:
        """The secret that is shared with `other` for the answers of `node`."""
        known = (other.raw, node.lower())
        if known not in self._known:
            if len(self._known) >= _SECRETS_MAX:
                self._known.clear()
            purpose = _packed([_PURPOSE, self._cluster.encode(), node.lower().encode()])
            self._known[known] = self._key.shared_with(other, purpose)
        return self._known[known]


class AnswerSealer:
    """Seals the answers of `node` for every manager that it trusts. Without a `key` nothing is sealed."""

    def __init__(self, key: SigningKey | None, cluster: str, node: str, managers: Callable[[], TrustedKeys]) -> None:
        self._secrets = None if key is None else Secrets(key, cluster)
        self._node = node
        self._managers = managers

    def seals(self, answer: SealedAnswer) -> bytes:
        """The seals of an answer, a word for each manager (KID:SEAL); empty if nothing is sealed."""
        if self._secrets is None:
            return b""
        packed = answer.packed()
        secrets = ((manager.kid, self._secrets.with_other(manager, self._node)) for manager in self._managers().keys)
        return b" ".join(_seal(kid, secret, packed) for kid, secret in secrets)


def is_sealed(answer: SealedAnswer, seals: bytes, kid: str, secret: bytes) -> bool:
    """Whether one of `seals` is the seal of `answer` for the manager whose key is `kid`."""
    expected = _seal(kid, secret, answer.packed())
    return any(hmac.compare_digest(word, expected) for word in seals.split(b" ")[:_MANAGERS_MAX])


def _seal(kid: str, secret: bytes, packed: bytes) -> bytes:
    return f"{kid}:{hmac.digest(secret, packed, 'sha256').hex()}".encode()


def _packed(fields: Sequence[bytes]) -> bytes:
    """The fields, each behind its length: two different sequences never give the same bytes."""
    return b"".join(struct.pack("!I", len(field)) + field for field in fields)
