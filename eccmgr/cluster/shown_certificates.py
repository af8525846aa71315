"""The certificates that nodes show in Redis, as one manager knows them. A certificate is verified
when its key is asked for."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from eccmgr.access.certificates import Certificate
from eccmgr.access.keys import PublicKey
from eccmgr.access.register import Register
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_PAGE = 500
_KNOWN_MAX = 100_000


_BELIEVED_MS = 10_000
"""The time for which a certificate is not verified anew; so one that ends is noticed this late."""


class _Believed(NamedTuple):
    """A certificate that was verified at `at_ms` by the keys of `authorities`, and the key in it."""

    certificate: Certificate
    authorities: TrustedKeys
    at_ms: int
    key: PublicKey

    def holds(self, certificate: Certificate, authorities: TrustedKeys, now_ms: int) -> bool:
        """Whether it is still believed."""
        same = self.certificate is certificate and self.authorities is authorities
        return same and 0 <= now_ms - self.at_ms < _BELIEVED_MS


class ShownCertificates:
    """The certificates of nodes, by their names in small letters."""

    def __init__(self, link: Link, keys: Keys, register: Callable[[], Register | None] = lambda: None) -> None:
        """With a `register` of nodes, only the certificates in it count."""
        self._link = link
        self._register = register
        self._keys = keys
        self._known: dict[str, Certificate] = {}
        self._believed: dict[str, _Believed] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._known

    def lacking(self, nodes: Iterable[str]) -> list[str]:
        """Those of `nodes` whose certificates were not read yet."""
        known = self._known
        return [node for node in nodes if node not in known]

    def key_of(self, node: str, authorities: TrustedKeys, now_ms: int) -> PublicKey:
        """The key that speaks for a node at `now_ms`, as one of `authorities` has certified. Raises NotAuthentic."""
        if (certificate := self._known.get(node)) is None:
            raise NotAuthentic("the node has shown no certificate")
        believed = self._believed.get(node)
        if believed is None or not believed.holds(certificate, authorities, now_ms):
            key = certificate.key_of(node, self._keys.cluster, authorities, now_ms)
            believed = self._believed[node] = _Believed(certificate, authorities, now_ms, key)
        if (register := self._register()) is not None:
            register.check(node, believed.key)
        return believed.key

    def subcluster_of(self, node: str) -> str:
        """The subcluster that the certificate of a node names; the node has a key here."""
        return self._known[node].unverified().subcluster

    async def read(self, nodes: Iterable[str]) -> None:
        """Read the certificates of `nodes` anew. Raises RedisUnreachable."""
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
            self._believed.clear()
        listed = list(nodes)
        for start in range(0, len(listed), _PAGE):
            page = listed[start : start + _PAGE]
            shown = replies.values(await self._link.call("MGET", *map(self._keys.certificate, page)), len(page))
            for node, line in zip(page, shown, strict=True):
                try:
                    self._known[node] = Certificate.parse(line or b"")
                except ValueError:
                    self._known.pop(node, None)
