"""Counts the requests over HTTP, for the metrics."""

from collections import Counter
from dataclasses import dataclass, field

_KINDS_MAX = 200


@dataclass
class SeenRequests:
    """The requests so far, by route and code, and the streams that are open."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=lambda: Counter({"password": 0, "token": 0}))
    """The sign-ins that failed, by the kind of proof."""
    streams: int = 0

    def note(self, route: str, code: int) -> None:
        """Count a request."""
        if len(self.requests) < _KINDS_MAX or (route, code) in self.requests:
            self.requests[route, code] += 1
