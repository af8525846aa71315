"""Signed statements: the very bytes that were signed are stored and sent, and are never encoded anew.

A statement is a JSON object. Its signature covers `eccmgr/1/KIND`, a zero byte, and these bytes, so that a statement of
one kind can never take the place of another kind's. Times are whole milliseconds on the wall clock.
"""

import base64
import binascii
import hashlib
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec

from eccmgr.access.keys import SigningKey
from eccmgr.redis.reading import Count

_Text = Annotated[str, msgspec.Meta(max_length=256)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Signed(NamedTuple):
    """The bytes of a statement, and their signature; both empty if nothing is signed."""

    env: bytes
    sig: bytes

    @classmethod
    def read(cls, env: str | bytes, sig: str | bytes) -> "Signed":
        """Read a statement as `kept` gives it. Raises ValueError."""
        return cls(env.encode() if isinstance(env, str) else env, binascii.a2b_base64(sig, strict_mode=True))

    @property
    def kept(self) -> tuple[bytes, bytes]:
        """The statement and its signature as Redis keeps them, the signature in base 64."""
        return self.env, base64.b64encode(self.sig)

    @property
    def digest(self) -> str:
        """The SHA-256 of the statement, by which other statements name it."""
        return hashlib.sha256(self.env).hexdigest()


UNSIGNED = Signed(b"", b"")


class SignedStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of every statement: its version, its cluster, and the key that signed it."""

    kind: ClassVar[bytes]
    v: Literal[1] = 1
    c: _Text
    kid: _Text = ""


class CommandStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command: its id, target, text and issuer, and the times between which it may begin.

    `t` is ("all",), ("sub", NAME), ("node", NAME) or ("set", the folded names). A command with `b` goes out in batches:
    a node begins it only with a release that names the node. One with `w` is only for nodes that are in that target by
    what they know of themselves: the manager knows their tags and subclusters from Redis alone.
    """

    kind: ClassVar[bytes] = b"cmd"
    k: Literal["cmd"] = "cmd"
    id: _Text
    t: tuple[str, ...]
    x: str
    u: _Text
    iat: Count
    exp: Count
    b: Literal[True] | msgspec.UnsetType = msgspec.UNSET
    w: str | msgspec.UnsetType = msgspec.UNSET


class ShownStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The text of a command without its secrets, as it is kept after the command itself. It runs nothing.

    `of` is the digest of the command's statement.
    """

    kind: ClassVar[bytes] = b"shn"
    k: Literal["shn"] = "shn"
    id: _Text
    of: _Digest
    t: tuple[str, ...]
    x: str
    u: _Text


class ReleaseStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The release of a rolling command to some nodes: `of` is the digest of the command's statement."""

    kind: ClassVar[bytes] = b"rel"
    k: Literal["rel"] = "rel"
    id: _Text
    of: _Digest
    nodes: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=200)]
    iat: Count
    exp: Count


class PaceStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pace of a rolling command, for a manager that takes the place of the one that sent the command: `of` is the
    digest of the command's statement."""

    kind: ClassVar[bytes] = b"pac"
    k: Literal["pac"] = "pac"
    id: _Text
    of: _Digest
    pace: _Text


class WithdrawalStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The withdrawal of the command `id` by the user `u`."""

    kind: ClassVar[bytes] = b"abt"
    k: Literal["abt"] = "abt"
    id: _Text
    u: _Text
    iat: Count
    exp: Count


class ScheduleStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule of the user `u`: the command `x`, and when it runs. `owner` is "" for the managers, else a node."""

    kind: ClassVar[bytes] = b"sch"
    k: Literal["sch"] = "sch"
    id: _Text
    owner: str
    x: str
    u: _Text
    when: str
    created: Count
    until: Count


class NodeCertificate(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the cluster, and the keys (lines of `PublicKey`) that speak for it until `until`."""

    kind: ClassVar[bytes] = b"crt"
    k: Literal["crt"] = "crt"
    name: _Text
    subcluster: _Text
    keys: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=4)]
    until: Count


class MemberStatement(SignedStatement, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node's statement that the session `private` is its own, and with `replace` that it may take over the node's
    name."""

    kind: ClassVar[bytes] = b"mbr"
    k: Literal["mbr"] = "mbr"
    name: _Text
    private: _Text
    replace: bool
    iat: Count


def signed(statement: SignedStatement, key: SigningKey) -> Signed:
    """Encode a statement, name its key in it, and sign the bytes."""
    env = msgspec.json.encode(msgspec.structs.replace(statement, kid=key.public.kid))
    return Signed(env, key.sign(signed_bytes(type(statement), env)))


def signed_bytes(kind: type[SignedStatement], env: bytes) -> bytes:
    """The bytes that the signature of a statement covers."""
    return b"eccmgr/1/" + kind.kind + b"\0" + env
