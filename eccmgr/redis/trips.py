"""How a link fares with Redis, for the metrics."""

from dataclasses import dataclass, field

from eccmgr.tally import Histogram


@dataclass
class RoundTrips:
    """The times of the calls that were answered, and how often the connection for calls was made anew."""

    times: Histogram = field(default_factory=Histogram)
    reconnects: int = 0
