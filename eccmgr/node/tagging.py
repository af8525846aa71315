"""The part of a node that gives it the tags of its configuration."""

from collections.abc import Sequence

from eccmgr.cluster.facts import facts
from eccmgr.cluster.session import Session
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.parts import NOTHING, Part, Prepared, Takeover
from eccmgr.config.syntax.changes import Change
from eccmgr.text.tags import Tags


class TagsPart(Part):
    """The tags of the node that has `session`. Its next heartbeat announces a change of them."""

    title = "tags"

    def __init__(self, session: Session) -> None:
        self._session = session

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Read the tags of `view`."""
        tags = tags_of(view)
        if tags == self._session.identity.tags:
            return NOTHING
        return Takeover(lambda: self._session.tag(tags))


def tags_of(view: ScopeView) -> Tags:
    """The tags of a node: those of its configuration, and its facts."""
    return {**view.scope("cluster").pairs("tags"), **facts()}
