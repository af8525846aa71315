"""What a daemon gives to its pages. It needs none of the packages of the extra `web`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from eccmgr.access.penalties import Penalties
from eccmgr.access.verifiers import Verifiers
from eccmgr.commands.gate import Gate
from eccmgr.feed.source import Source
from eccmgr.web.seen import SeenRequests


@dataclass(frozen=True)
class Site:
    """What the pages are made of: the gate that answers their commands, the feed that tells of changes (None on a node,
    which serves metrics and health alone), and the passwords of callers. `penalties` are those of the control
    listeners: whoever guesses is delayed on every way in.

    `ready` answers the reasons why the daemon is not ready; none if it is. `metrics` is in Prometheus' text format.
    """

    title: str
    gate: Gate
    ready: Callable[[], Awaitable[list[str]]]
    metrics: Callable[[], Awaitable[bytes]]
    verifiers: Callable[[], Verifiers]
    penalties: Penalties
    lease_s: Callable[[], float]
    source: Source | None = None
    seen: SeenRequests = field(default_factory=SeenRequests)
