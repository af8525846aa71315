"""Certificates of nodes. In a certificate, the cluster's authority states that a key speaks for a node."""

import base64
from dataclasses import dataclass

import msgspec

from eccmgr.access.keys import PublicKey, SigningKey
from eccmgr.access.statements import NodeCertificate, Signed, signed
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys
from eccmgr.redis.reading import decoded

_PREFIX = "certificate:"
LONGEST_LINE = 8192
_certificate = msgspec.json.Decoder(NodeCertificate)


@dataclass(frozen=True)
class Certificate:
    """A signed certificate; `line` is its form in files and in Redis: `certificate:BASE64:BASE64`."""

    signed: Signed

    @classmethod
    def parse(cls, line: str | bytes) -> "Certificate":
        """Read a line. Raises ValueError."""
        text = (line.decode("ascii", "replace") if isinstance(line, bytes) else line).strip()
        env, colon, sig = text.removeprefix(_PREFIX).partition(":")
        if not text.startswith(_PREFIX) or not colon or len(text) > LONGEST_LINE:
            raise ValueError(f"a certificate is written as {_PREFIX}BASE64:BASE64")
        try:
            return cls(Signed(base64.b64decode(env, validate=True), base64.b64decode(sig, validate=True)))
        except ValueError:
            raise ValueError("the certificate is not written in base 64") from None

    @property
    def line(self) -> str:
        """The certificate as one line."""
        env, sig = (base64.b64encode(part).decode() for part in self.signed)
        return f"{_PREFIX}{env}:{sig}"

    def unverified(self) -> NodeCertificate:
        """The statement of the certificate, unverified. Raises ValueError if it cannot be read."""
        return decoded(_certificate, self.signed.env, LONGEST_LINE)

    def named_keys(self) -> list[PublicKey]:
        """The keys that it names. Raises ValueError if one cannot be read."""
        return list(map(PublicKey.parse, self.unverified().keys))

    def key_of(self, node: str, cluster: str, authorities: TrustedKeys, now_ms: int) -> PublicKey:
        """The key that speaks for `node` at `now_ms`, as one of `authorities` has certified. Raises NotAuthentic."""
        said = authorities.open(self.signed, NodeCertificate, cluster, now_ms)
        if said.name.lower() != node.lower():
            raise NotAuthentic(f"its certificate is {said.name}'s")
        if now_ms > said.until:
            raise NotAuthentic("its certificate has ended")
        try:
            key = PublicKey.parse(said.keys[0])
        except ValueError as error:
            raise NotAuthentic(f"the key in its certificate cannot be read: {error}") from None
        if not key.counts_at(now_ms):
            raise NotAuthentic(f"its key ended on {key.until}")
        return key


def certify(authority: SigningKey, cluster: str, key: PublicKey, subcluster: str, until_ms: int) -> Certificate:
    """Certify that `key` speaks until `until_ms` for the node that the key is named after."""
    statement = NodeCertificate(c=cluster, name=key.name, subcluster=subcluster, keys=(str(key),), until=until_ms)
    return Certificate(signed(statement, authority))
