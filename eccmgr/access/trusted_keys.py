"""The keys that a daemon trusts, and whether a statement is authentic."""

import functools
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar, cast

import msgspec

from eccmgr.access.keys import PublicKey
from eccmgr.access.statements import Signed, SignedStatement, signed_bytes
from eccmgr.errors import EccmgrError
from eccmgr.redis.reading import decoded

S = TypeVar("S", bound=SignedStatement)

LONGEST_STATEMENT = 64 * 1024
"""The maximum size of a statement in bytes, without the text of its command."""


_OPENED_MAX, _OPENED_BYTES_MAX = 1024, 4096
_opened: OrderedDict[tuple[type[SignedStatement], Signed], tuple[PublicKey, SignedStatement]] = OrderedDict()
"""The latest short statements that were authentic, each with its key, for all nodes of this process."""


class NotAuthentic(EccmgrError):
    """Raised for a statement that no trusted key has signed, or that is not for this cluster, node or time."""


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
        if len(signed.env) > longest:
            raise NotAuthentic(f"its statement has {len(signed.env)} bytes (limit {longest})")
        if (opened := _opened.get((kind, signed))) is not None:
            signer, known = opened
            if self._by_kid.get(signer.kid) == signer and signer.counts_at(now_ms) and known.c == cluster:
                return cast(S, known)
        try:
            kid = decoded(_signer, signed.env, longest).kid
        except ValueError as error:
            raise NotAuthentic(f"its statement cannot be read: {error}") from None
        if (key := self._by_kid.get(kid)) is None:
            raise NotAuthentic("it is signed with a key that is not trusted here")
        if not key.counts_at(now_ms):
            raise NotAuthentic(f"it is signed with the key {key.name}, which ended on {key.until}")
        if not key.verify(signed.sig, signed_bytes(kind, signed.env)):
            raise NotAuthentic("its signature does not fit")
        try:
            statement: S = decoded(_decoder(kind), signed.env, longest)
        except ValueError as error:
            raise NotAuthentic(f"its statement cannot be read: {error}") from None
        if statement.c != cluster:
            raise NotAuthentic(f"it is for the cluster '{statement.c}', not for '{cluster}'")
        if len(signed.env) <= _OPENED_BYTES_MAX:
            if len(_opened) >= _OPENED_MAX:
                _opened.popitem(last=False)
            _opened[kind, signed] = key, statement
        return statement


@functools.cache
def _decoder(kind: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(kind)
