"""Vouches for the sessions of a node, and tells certified nodes from strangers that wrote themselves into Redis."""

from collections.abc import Callable, Iterable, Mapping

from eccmgr.access.signer import Signer
from eccmgr.access.statements import MemberStatement, Signed
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys
from eccmgr.cluster.members import Member
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.shown_certificates import ShownCertificates
from eccmgr.cluster.view import Seat


class Voucher:
    """Signs the sessions of one node. The statement of a session stays the same for as long as the session lasts."""

    def __init__(self, signer: Signer, node: str, takes_over: Callable[[], bool]) -> None:
        self._signer, self._node, self._takes_over = signer, node, takes_over
        self._latest: tuple[str, Signed] | None = None

    def vouch(self, private_name: str) -> Signed:
        """The signed statement that the session `private_name` is this node's."""
        if self._latest is None or self._latest[0] != private_name:
            signed = self._signer.member(self._node, private_name, replace=self._takes_over())
            self._latest = private_name, signed
        return self._latest[1]


class MemberVerifier:
    """Verifies the records of nodes. Without `authorities` over nodes, nothing is verified."""

    def __init__(
        self,
        certificates: ShownCertificates,
        cluster: str,
        authorities: Callable[[], TrustedKeys] = TrustedKeys,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._certificates = certificates
        self._cluster = cluster
        self._authorities = authorities
        self._wall_ms = wall_ms

    @property
    def is_asked(self) -> bool:
        """Whether nodes need a certificate here."""
        return bool(self._authorities())

    async def strangers(self, members: Iterable[Member], seats: Iterable[Seat] = ()) -> Mapping[str, str]:
        """The sessions of nodes that nobody has certified, by their private names, each with the reason.

        A seat whose session has no member's record is among them. Raises RedisUnreachable.
        """
        if not self.is_asked:
            return {}
        nodes = [(member.node_name.lower(), member) for member in members if member.node_name]
        await self._certificates.read(self._certificates.lacking({node for node, _ in nodes}))
        if faults := self._faults(nodes):
            # Meanwhile the node may have another key.
            await self._certificates.read({node for node, member in nodes if member.private_name in faults})
            faults = self._faults(nodes)
        signed = {(member.private_name, node) for node, member in nodes}
        unsigned = {seat.private_name for seat in seats if (seat.private_name, seat.name.lower()) not in signed}
        return {**dict.fromkeys(unsigned, "no member's record names its session"), **faults}

    def _faults(self, nodes: Iterable[tuple[str, Member]]) -> dict[str, str]:
        authorities, now_ms = self._authorities(), self._wall_ms()
        faults = {}
        for node, member in nodes:
            try:
                self._check(node, member, authorities, now_ms)
            except NotAuthentic as error:
                faults[member.private_name] = str(error)
        return faults

    def _check(self, node: str, member: Member, authorities: TrustedKeys, now_ms: int) -> None:
        key = self._certificates.key_of(node, authorities, now_ms)
        certified = self._certificates.subcluster_of(node)
        if certified.lower() != (member.subcluster or "").lower():
            raise NotAuthentic(f"its certificate is for the subcluster '{certified}'")
        if not member.env:
            raise NotAuthentic("its record is not signed")
        try:
            signed = Signed.read(member.env, member.sig)
        except ValueError:
            raise NotAuthentic("the signature of its record cannot be read") from None
        statement = TrustedKeys([key]).open(signed, MemberStatement, self._cluster, now_ms)
        if statement.name.lower() != node or statement.private != member.private_name:
            raise NotAuthentic("its record was signed for another session")
