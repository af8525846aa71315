"""The part of a daemon that holds its own options, with its times and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eccmgr.config.live.options import daemon_options
from eccmgr.config.live.parts import Part, Prepared, Takeover
from eccmgr.config.live.times import check_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.syntax.changes import Change


class Holding(Part):
    """The options of one daemon. The endpoints `listen` replace those of its files; `default` is the endpoint if
    neither names any."""

    title = "options"

    def __init__(self, view: ScopeView, default: str, listen: Sequence[str]) -> None:
        """Raises ConfigError if options do not fit together."""
        self._default, self._listen = default, listen
        self.check(view)
        self.view = view
        """The configuration that is in force in all parts."""
        self.options = daemon_options(view, default, listen)
        self.timing = self.options.timing
        """The one object with the cluster's times and bounds that all parts share; see `ClusterOptions`."""

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError if the times of the cluster do not fit together."""
        check_times(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the options of `view`. Raises ConfigError if they do not fit together."""
        if view is self.view:
            return Takeover(lambda: None)
        self.check(view)
        options = daemon_options(view, self._default, self._listen)

        def take() -> None:
            self.view, self.options = view, options
            self.timing.become(options.timing)

        return Takeover(take)
