"""Checks that the commands in Redis are those that a manager signed, and that the answers are those of the nodes that
they name."""

from collections.abc import Callable, Iterable, Mapping

from eccmgr.access.keys import SigningKey
from eccmgr.access.register import Register
from eccmgr.access.seals import SealedAnswer, Secrets, is_sealed
from eccmgr.access.statements import CommandStatement, PaceStatement, ShownStatement, Signed
from eccmgr.access.trusted_keys import LONGEST_COMMAND, NotAuthentic, TrustedKeys
from eccmgr.cluster.calls.answers import KeptPace
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.results import Entry, Sent, State
from eccmgr.cluster.shown_certificates import ShownCertificates
from eccmgr.cluster.waiting import Pace
from eccmgr.errors import CommandError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys


class SentVerifier:
    """Verifies kept commands of `cluster`. Without `trusted` keys, nothing is verified."""

    def __init__(
        self,
        cluster: str,
        trusted: Callable[[], TrustedKeys] = TrustedKeys,
        wall_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._cluster = cluster
        self._trusted = trusted
        self._wall_ms = wall_ms

    def check(self, sent: Sent, is_wanted: Callable[[str], bool]) -> None:
        """Check that a trusted manager signed `sent`, and that its text is the wanted one. Raises CommandError."""
        if not (trusted := self._trusted()):
            return
        try:
            kind: type[CommandStatement | ShownStatement] = ShownStatement if sent.masked else CommandStatement
            statement = trusted.open(sent.signed, kind, self._cluster, self._wall_ms(), LONGEST_COMMAND)
            if statement.id != sent.id:
                raise NotAuthentic(f"{statement.id} was signed")
            if statement.x != sent.text or statement.t != sent.target.signed_form:
                raise NotAuthentic("another text or target was signed")
            if statement.u != sent.issuer:
                raise NotAuthentic("another user's name was signed")
            if not is_wanted(statement.x):
                raise NotAuthentic("it is another command than the one that you named")
        except NotAuthentic as error:
            raise CommandError(f"The command that Redis keeps as {sent.id} is not authentic: {error}") from None

    def pace(self, sent: Sent, kept: KeptPace) -> Pace:
        """The pace of the rolling command `sent`. Raises CommandError if a trusted manager has not signed it."""
        try:
            text = kept.text.decode()
            if trusted := self._trusted():
                signed = Signed.read(kept.env, kept.sig)
                statement = trusted.open(signed, PaceStatement, self._cluster, self._wall_ms())
                if (statement.id, statement.of) != (sent.id, sent.of):
                    raise NotAuthentic("it was signed for another command")
                text = statement.pace
            return Pace.read(text)
        except (NotAuthentic, ValueError) as error:
            raise CommandError(f"The pace that Redis keeps of {sent.id} does not count: {error}") from None


class AnswerVerifier:
    """Verifies answers with the `key` of a manager. Without `authorities` over nodes, nothing is verified."""

    def __init__(
        self,
        link: Link,
        keys: Keys,
        key: SigningKey | None,
        authorities: Callable[[], TrustedKeys],
        wall_ms: Callable[[], int] = wall_clock_ms,
        register: Callable[[], Register | None] = lambda: None,
    ) -> None:
        self._keys = keys
        self._key = key
        self._secrets = Secrets(key, keys.cluster) if key is not None else None
        self._authorities = authorities
        self._wall_ms = wall_ms
        self.certificates = ShownCertificates(link, keys, register)

    async def verified(self, sent: Sent, entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """The entries of nodes, by their names in small letters. A failed entry takes the place of one that is not
        authentic.

        Raises RedisUnreachable.
        """
        if not self._authorities() or not entries:
            return entries
        answered = [node for node, entry in entries.items() if entry.state is not State.RUNNING]
        await self.certificates.read(self.certificates.lacking(answered))
        if not (faults := self._faults(sent, entries, answered)):
            return entries
        if changed := [node for node in faults if node in self.certificates]:
            # Meanwhile the node may have another key.
            await self.certificates.read(changed)
            faults = self._faults(sent, entries, faults)
        return {**entries, **{node: _false(entries[node], fault) for node, fault in faults.items()}}

    def _faults(self, sent: Sent, entries: Mapping[str, Entry], nodes: Iterable[str]) -> dict[str, str]:
        """The nodes whose answers are not authentic, each with the reason."""
        authorities, now_ms = self._authorities(), self._wall_ms()
        faults = {}
        for node in nodes:
            try:
                self._check(sent, node, entries[node], authorities, now_ms)
            except NotAuthentic as error:
                faults[node] = str(error)
        return faults

    def _check(self, sent: Sent, node: str, entry: Entry, authorities: TrustedKeys, now_ms: int) -> None:
        if self._key is None or self._secrets is None:
            raise NotAuthentic("this manager has no signing_key to verify it with")
        state, private_name, _, took_ms, _, _, flags, seals, sealed = entry
        answer = SealedAnswer(sent.id, sent.of, private_name, state.value, took_ms, flags, sealed)
        mac = self._secrets.with_other(self.certificates.key_of(node, authorities, now_ms), node)
        if not is_sealed(answer, seals, self._key.public.kid, mac):
            raise NotAuthentic("its seal does not fit" if seals else "it is not sealed")


def _false(entry: Entry, fault: str) -> Entry:
    return Entry(State.FAILED, entry.private_name, entry.at_ms, entry.took_ms, f"not authentic: {fault}")
