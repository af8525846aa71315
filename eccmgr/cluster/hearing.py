"""Tells the gathers of one process that there is news of their commands."""

import asyncio


class Hearing:
    """The events of waiting gathers, by the ids of their commands."""

    def __init__(self) -> None:
        self._events: dict[str, list[asyncio.Event]] = {}

    def __len__(self) -> int:
        return len(self._events)

    def listen(self, command_id: str, event: asyncio.Event) -> None:
        """Set `event` with each news of the command."""
        self._events.setdefault(command_id, []).append(event)

    def forget(self, event: asyncio.Event) -> None:
        """Set `event` no more."""
        for command_id, events in list(self._events.items()):
            if event in events:
                events.remove(event)
            if not events:
                del self._events[command_id]

    def tell(self, command_id: str) -> None:
        """There is news of the command."""
        for event in self._events.get(command_id, ()):
            event.set()

    def tell_all(self) -> None:
        """There may be news of every command."""
        for events in self._events.values():
            for event in events:
                event.set()
