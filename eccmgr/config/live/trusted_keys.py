"""The parts of a daemon that hold the keys that it trusts: keys of managers, and keys of authorities over nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.access.keys import PublicKey
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.config.live.parts import Part, Prepared, Takeover
from eccmgr.errors import ConfigError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.syntax.changes import Change


class TrustedKeysPart(Part):
    """The keys of one option of the scope `cluster`, and those `given` by the flag or the variable of a setting."""

    title = "trusted keys"

    def __init__(self, view: ScopeView, option: str, given: Sequence[str], flag: str) -> None:
        """Raises SettingsError and ConfigError for a line that is not a key."""
        self._option = option
        try:
            self._given = tuple(map(PublicKey.parse, given))
        except ValueError as error:
            raise SettingsError(f"{flag}: {error}") from None
        self.keys = TrustedKeys(self._of(view))

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError, with the place, for a line that is not a key."""
        self._of(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the keys of `view`. Raises ConfigError."""
        keys = TrustedKeys(self._of(view))

        def take() -> None:
            self.keys = keys

        return Takeover(take)

    def said(self, wall_ms: int) -> str:
        """The keys in words for an operator: `m1, 364 days left`; "" without keys."""
        return "; ".join(days_left(key, wall_ms) for key in self.keys.keys)

    def _of(self, view: ScopeView) -> tuple[PublicKey, ...]:
        cluster = view.scope("cluster")
        try:
            return (*self._given, *map(PublicKey.parse, cluster.items(self._option)))
        except ValueError as error:
            raise ConfigError(f"{cluster.place(self._option)}: {error}") from None


def days_left(key: PublicKey, wall_ms: int) -> str:
    """The time for which a key still counts, in words: `m1, 364 days left`."""
    days = key.days_left(wall_ms)
    if not key.counts_at(wall_ms):
        return f"{key.name}, ended on {key.until}"
    return f"{key.name}, {days} {'day' if days == 1 else 'days'} left"
