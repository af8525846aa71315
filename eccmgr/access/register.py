"""The register of a cluster's nodes: the certificates that count, each of a node that is expected.

Only a manager reads one. A certificate that is taken out of the register is revoked.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from eccmgr.access.keys import PublicKey
from eccmgr.access.statements import NodeCertificate
from eccmgr.access.trusted_keys import NotAuthentic


class RegisteredNode(NamedTuple):
    """A node of the register: its name as first spelt, its subcluster, and the keys that speak for it."""

    name: str
    subcluster: str
    keys: frozenset[bytes]


class Register:
    """The nodes of the register."""

    def __init__(self, certificates: Iterable[NodeCertificate]) -> None:
        """Raises ValueError if a certificate names a key that cannot be read."""
        self._nodes: dict[str, RegisteredNode] = {}
        for certificate in certificates:
            keys = frozenset(PublicKey.parse(line).raw for line in certificate.keys)
            known = self._nodes.get(certificate.name.lower())
            # While a node's key is rotated, both of its certificates count.
            self._nodes[certificate.name.lower()] = RegisteredNode(
                certificate.name, certificate.subcluster, keys | known.keys if known else keys
            )

    def __iter__(self) -> Iterator[RegisteredNode]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: str) -> bool:
        return node.lower() in self._nodes

    def check(self, node: str, key: PublicKey) -> None:
        """Check that `key` may speak for `node`. Raises NotAuthentic."""
        registered = self._nodes.get(node.lower())
        if registered is None or key.raw not in registered.keys:
            raise NotAuthentic("its certificate is not in the register of nodes")
