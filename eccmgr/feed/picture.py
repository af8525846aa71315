"""What one topic of the feed shows, and its latest changes. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from eccmgr.feed.topics import FeedTopic

Item = Mapping[str, object]
"""One thing that a topic shows, such as a node. Nobody changes an item: a new one takes its place."""

KEPT = 40
"""The number of kept changes. A reader that is further behind begins anew."""
PAGE_ITEMS = 2000
"""The most items of a part of a change."""


@dataclass(frozen=True, slots=True)
class FeedChange:
    """A snapshot of a topic (`full`), or its changes since the reader's last one.

    `items` are new or changed, `gone` are the names of those that are no longer there. `at_ms` is the wall clock. If
    there is `more`, further parts of the same change follow.
    """

    topic: FeedTopic
    serial: int
    at_ms: int
    full: bool
    items: tuple[Item, ...]
    gone: tuple[str, ...] = ()
    more: bool = False

    def parts(self, most: int = PAGE_ITEMS) -> "Iterator[FeedChange]":
        """This change in parts with at most `most` items each: no reader should hold up the others."""
        for at in range(0, max(len(self.items), 1), most):
            yield FeedChange(
                *(self.topic, self.serial, self.at_ms, self.full and at == 0),
                self.items[at : at + most],
                self.gone if at == 0 else (),
                at + most < len(self.items),
            )


@dataclass(frozen=True, slots=True)
class _Step:
    """One change of a picture."""

    serial: int
    items: Mapping[str, Item]
    gone: frozenset[str]


class Picture:
    """What one topic shows. Each change has the next serial number."""

    def __init__(self, topic: FeedTopic, kept: int = KEPT) -> None:
        self.topic = topic
        self.serial, self.at_ms = 0, 0
        self._items: dict[str, Item] = {}
        self._steps: deque[_Step] = deque(maxlen=kept)

    @property
    def items(self) -> Mapping[str, Item]:
        """What the topic shows, by name."""
        return self._items

    def show(self, items: Mapping[str, Item], at_ms: int, *, stirred: bool = False) -> None:
        """Show `items` and nothing else."""
        self.amend(items, self._items.keys() - items.keys(), at_ms, stirred=stirred)

    def amend(self, items: Mapping[str, Item], gone: Iterable[str], at_ms: int, *, stirred: bool = False) -> None:
        """Show `items` in place of those with the same names, and `gone` no longer.

        `stirred`: something of the topic has changed that no item shows. That is a change too, perhaps without items.
        """
        changed = {name: item for name, item in items.items() if self._items.get(name) != item}
        left = frozenset(name for name in gone if name in self._items and name not in items)
        if self.serial and not changed and not left and not stirred:
            return
        self._items.update(changed)
        for name in left:
            del self._items[name]
        self.serial, self.at_ms = self.serial + 1, at_ms
        self._steps.append(_Step(self.serial, changed, left))

    def whole(self) -> FeedChange:
        """The snapshot."""
        return FeedChange(self.topic, self.serial, self.at_ms, True, tuple(self._items.values()))

    def since(self, serial: int) -> FeedChange | None:
        """The changes after the one with this number, as one; None if they are no longer kept."""
        behind = self.serial - serial
        if not 0 < behind <= len(self._steps):
            return None
        steps = list(self._steps)[-behind:]
        items: dict[str, Item] = {}
        gone: set[str] = set()
        for step in steps:
            items = {name: item for name, item in items.items() if name not in step.gone} | dict(step.items)
            gone = (gone - step.items.keys()) | step.gone
        return FeedChange(self.topic, self.serial, self.at_ms, False, tuple(items.values()), tuple(sorted(gone)))
