"""The calls of the scripts of audit series, one typed function for each."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts

Batch = Mapping[str, Mapping[str, int]]
"""For each series: the count of each key."""


class CountedVerdict(enum.StrEnum):
    """The result of adding a batch."""

    ADDED = "added"
    AGAIN = "again"
    """It was added before."""


class CutVerdict(enum.StrEnum):
    """How the window of a series stands."""

    WINDOW = "window"
    """A window has ended, and this manager writes it."""
    TAKEN = "taken"
    """Another manager writes it."""
    OPEN = "open"
    """The window has not ended."""


class WrittenVerdict(enum.StrEnum):
    """The result of noting that a window is written."""

    WRITTEN = "written"
    LOST = "lost"
    """Another manager writes it, or has."""


@dataclass(frozen=True, slots=True)
class EndedWindow:
    """A window that has ended: its times on the server's wall clock, and the epoch in which a manager writes it."""

    series: str
    begin_ms: int
    end_ms: int
    epoch: int


_add_verdict, _cut_verdict, _written_verdict = verdicts(CountedVerdict), verdicts(CutVerdict), verdicts(WrittenVerdict)


def entry(node: str, key: str) -> str:
    """The entry of a key that a node counts."""
    return f"{node}\t{key}"


def add(keys: Keys, sender: str, number: int, node: str, batch: Batch, max_size: int) -> ScriptCall[CountedVerdict]:
    """Add the batch with this number of a sender, whose numbers rise; `node` counts."""
    words: list[str | int] = [number, len(batch)]
    for name, counts in batch.items():
        words += (name, max_size, len(counts))
        words += (word for key, count in counts.items() for word in (entry(node, key), count))
    named = (keys.series, keys.series_batch(sender), *map(keys.series_counts, batch))
    return ScriptCall("series_add", named, tuple(words), lambda reply: _add_verdict(reply[0]))


def cut(
    keys: Keys, options: ClusterOptions, name: str, private: str, interval_s: float
) -> ScriptCall[EndedWindow | None]:
    """End the window of a series if its time is over; answers it if this manager shall write it."""

    def read(reply: RawReply) -> EndedWindow | None:
        if _cut_verdict(reply[0]) is not CutVerdict.WINDOW:
            return None
        begin_ms, end_ms, epoch = (whole(word.decode()) for word in reply[1:4])
        return EndedWindow(name, begin_ms, end_ms, epoch)

    named = (keys.series_window(name), keys.state, keys.series_counts(name), keys.series_closed(name), keys.sessions)
    return ScriptCall("series_cut", named, (to_ms(options.max_step_s), private, to_ms(interval_s)), read)


def commit(keys: Keys, window: EndedWindow, private: str) -> ScriptCall[WrittenVerdict]:
    """Note that this manager has the window on its disk, and drop its counts."""
    name = window.series
    named = (keys.series_window(name), keys.series_closed(name), keys.series_written(name))
    args = (private, window.begin_ms, window.epoch)
    return ScriptCall("series_commit", named, args, lambda reply: _written_verdict(reply[0]))
