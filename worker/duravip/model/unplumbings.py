"""The unplumbings under way: the guardian was asked for them and has not confirmed them."""

from collections.abc import Mapping

from worker.duravip.model.actions import Action, TellUnplumb
from worker.duravip.model.batches import batches
from worker.duravip.model.vip_state import VipState


class Unplumbings:
    """The VIPs of each unplumbing under way, with the epochs that they give up, by the tag of the unplumbing."""

    def __init__(self) -> None:
        self._latest = 0
        self._asked: dict[int, tuple[tuple[str, int], ...]] = {}
        self._of_before: set[int] = set()
        """The tags of unplumbings of the previous session: once all are confirmed, nothing is plumbed under that
        session."""

    def ask(
        self, vips: Mapping[str, VipState], addresses: list[tuple[str, int]], *, of_before: bool = False
    ) -> list[Action]:
        """Have VIPs unplumbed. With `of_before` the previous session still owns them."""
        asked: list[Action] = []
        for some in batches(addresses):
            self._latest += 1
            for address, _ in some:
                vips[address].unplumbs += 1
            self._asked[self._latest] = tuple(some)
            asked.append(TellUnplumb(self._latest, tuple(some)))
            if of_before:
                self._of_before.add(self._latest)
        return asked

    def confirmed(self, tag: int) -> tuple[tuple[str, int], ...]:
        """The guardian has answered an unplumbing; returns its VIPs."""
        self._of_before.discard(tag)
        return self._asked.pop(tag, ())

    @property
    def frees_before(self) -> bool:
        """Whether the previous session may end."""
        return not self._of_before

    def end_session(self) -> None:
        """The session is over: all unplumbings under way are those of the previous session."""
        self._of_before = set(self._asked)

    def forget_before(self) -> None:
        """Nothing is plumbed under the previous session: wait for no confirmation of that."""
        self._of_before.clear()

    def forget(self) -> None:
        """Nothing is plumbed at all: wait for no confirmation."""
        self._asked.clear()
        self._of_before.clear()
