"""Checks that the commands in Redis are those that a manager signed."""

from collections.abc import Callable

from eccmgr.access.statements import CommandStatement, ShownStatement
from eccmgr.access.trust import LONGEST_STATEMENT, NotAuthentic, TrustedKeys
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.results import Sent
from eccmgr.errors import CommandError

_LONGEST = LONGEST_STATEMENT + 1024 * 1024


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
            if not sent.signed.env:
                raise NotAuthentic("it is not signed")
            kind: type[CommandStatement | ShownStatement] = ShownStatement if sent.masked else CommandStatement
            statement = trusted.open(sent.signed, kind, self._cluster, self._wall_ms(), _LONGEST)
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
