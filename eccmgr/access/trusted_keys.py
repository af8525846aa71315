"""The keys that a daemon trusts, and whether a statement is authentic."""

import functools
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar, cast

import msgspec

from eccmgr.access.keys import PublicKey
from eccmgr.access.statements import Signed, SignedStatement, signed_bytes
from eccmgr.errors import EccmgrError
from eccmgr.redis.reading import decoded

S = TypeVar("S", bound=SignedStatement)
T = TypeVar("T")

LONGEST_STATEMENT = 64 * 1024
"""The maximum size of a statement in bytes, without the text of its command."""
LONGEST_COMMAND = LONGEST_STATEMENT + 1024 * 1024
"""The maximum size of a command's statement in bytes; a command has at most 1 MiB."""


class NotAuthentic(EccmgrError):
    """Raised for a statement that no trusted key has signed, or that is not for this cluster, node or time."""


class Authentic(NamedTuple, Generic[S]):
    """An authentic statement, the key that signed it, and its digest."""

    key: PublicKey
    statement: S
    digest: str


class _LatestOpened:
    """The latest statements that were authentic: all nodes of a process verify one only once."""

    ENTRIES_MAX = 4096
    BYTES_MAX = 4 * 1024 * 1024

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[type[SignedStatement], Signed], Authentic[SignedStatement]] = OrderedDict()
        self._bytes = 0

    def get(self, kind: type[SignedStatement], signed: Signed) -> Authentic[SignedStatement] | None:
        return self._kept.get((kind, signed))

    def keep(self, kind: type[SignedStatement], signed: Signed, opened: Authentic[SignedStatement]) -> None:
        """Keep a statement; the oldest ones make room for it."""
        if (kind, signed) not in self._kept:
            self._kept[kind, signed] = opened
            self._bytes += len(signed.env)
        while self._bytes > self.BYTES_MAX or len(self._kept) > self.ENTRIES_MAX:
            (_, oldest), _ = self._kept.popitem(last=False)
            self._bytes -= len(oldest.env)


_opened = _LatestOpened()


class _Signer(msgspec.Struct):
    kid: str


_signer = msgspec.json.Decoder(_Signer)


class TrustedKeys:
    """The keys that a daemon trusts for one purpose."""

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self.keys = tuple(keys)
        self._by_kid = {key.kid: key for key in self.keys}

    def __bool__(self) -> bool:
        return bool(self.keys)

    def open(self, signed: Signed, kind: type[S], cluster: str, now_ms: int, longest: int = LONGEST_STATEMENT) -> S:
        """The statement in `signed`, after every check that needs only the keys, the cluster and the time.

        `now_ms` is the time on the wall clock. Raises NotAuthentic.
        """
        return self.opened(signed, kind, cluster, now_ms, longest).statement

    def opened(self, signed: Signed, kind: type[S], cluster: str, now_ms: int, longest: int) -> Authentic[S]:
        """As `open`, with the digest of the statement."""
        if not signed.env:
            raise NotAuthentic("it is not signed")
        if len(signed.env) > longest:
            raise NotAuthentic(f"its statement has {len(signed.env)} bytes (limit {longest})")
        if (opened := _opened.get(kind, signed)) is not None:
            signer = opened.key
            # Mostly it is the very same key; to compare two keys costs more.
            trusted = (own := self._by_kid.get(signer.kid)) is signer or own == signer
            if trusted and signer.counts_at(now_ms) and opened.statement.c == cluster:
                return cast(Authentic[S], opened)
        kid = _read(_signer, signed, longest).kid
        if (key := self._by_kid.get(kid)) is None:
            raise NotAuthentic("it is signed with a key that is not trusted here")
        if not key.counts_at(now_ms):
            raise NotAuthentic(f"it is signed with the key {key.name}, which ended on {key.until}")
        if not key.verify(signed.sig, signed_bytes(kind, signed.env)):
            raise NotAuthentic("its signature does not fit")
        statement: S = _read(_decoder(kind), signed, longest)
        if statement.c != cluster:
            raise NotAuthentic(f"it is for the cluster '{statement.c}', not for '{cluster}'")
        made = Authentic(key, statement, signed.digest)
        _opened.keep(kind, signed, cast(Authentic[SignedStatement], made))
        return made


def unverified(signed: Signed, kind: type[S], longest: int = LONGEST_STATEMENT) -> S:
    """What a statement says, true or not. Raises NotAuthentic if it cannot be read."""
    statement: S = _read(_decoder(kind), signed, longest)
    return statement


def _read(kind: msgspec.json.Decoder[T], signed: Signed, longest: int) -> T:
    try:
        return decoded(kind, signed.env, longest)
    except ValueError as error:
        raise NotAuthentic(f"its statement cannot be read: {error}") from None


@functools.cache
def _decoder(kind: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(kind)
