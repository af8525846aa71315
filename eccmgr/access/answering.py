"""Authentic answers: a node and a manager agree on a secret, and the node seals each of its answers with it."""

import hashlib
import hmac
import struct
from collections.abc import Sequence

_PURPOSE = b"eccmgr/1/answer"


def purpose(cluster: str, node: str) -> bytes:
    """What the secret of a manager and of a node of `cluster` is for."""
    return _packed((_PURPOSE, cluster.encode(), node.lower().encode()))


def seal(secret: bytes, said: Sequence[bytes], body: bytes) -> bytes:
    """The seal of an answer: `said` is what it says besides its body (id, statement's digest, session, state …)."""
    return hmac.digest(secret, _packed((*said, hashlib.sha256(body).digest())), "sha256")


def _packed(fields: Sequence[bytes]) -> bytes:
    """The fields, each behind its length, so that no two sequences give the same bytes."""
    return b"".join(struct.pack("!I", len(field)) + field for field in fields)
