"""The bytes that a server holds for its clients: commands that are not whole yet, and unread answers."""

import asyncio
import contextlib
from collections import Counter

MIB = 1024 * 1024


class Holdings:
    """Bytes held for clients: at most `in_all` for all clients together, and at most `each` for one client, by its
    key."""

    def __init__(self, in_all: int, each: int) -> None:
        self.in_all, self.each = in_all, each
        self.total = 0
        """The bytes held now."""
        self._of: Counter[str] = Counter()
        self._less = asyncio.Event()

    def change(self, key: str, by: int) -> None:
        """Note that this many more bytes are held for a client; a negative number means fewer."""
        if not by:
            return
        self.total += by
        self._of[key] += by
        if self._of[key] <= 0:
            del self._of[key]
        if by < 0:
            self._less.set()

    def is_over(self, key: str) -> bool:
        """Whether no more bytes should be held for this client."""
        return self.total > self.in_all or self._of[key] > self.each

    async def room(self, key: str, patience_s: float) -> bool:
        """Wait until more bytes may be held for this client; answers False if that takes longer than `patience_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.is_over(key):
                    self._less.clear()
                    await self._less.wait()
        return not self.is_over(key)

    def bounds(self, key: str) -> str:
        """The bounds in words, for one client."""
        return f"{key} may have {self.each // MIB} MiB of them at once, and all together {self.in_all // MIB} MiB"


class Stake:
    """The bytes that are held for one connection of a client."""

    def __init__(self, holdings: Holdings, key: str) -> None:
        self._holdings, self._key, self._held = holdings, key, 0

    @property
    def is_over(self) -> bool:
        """Whether no more bytes should be held for the client."""
        return self._holdings.is_over(self._key)

    @property
    def bounds(self) -> str:
        """The bounds in words."""
        return self._holdings.bounds(self._key)

    def become(self, held: int) -> None:
        """Note the number of bytes that are held now."""
        change, self._held = held - self._held, held
        self._holdings.change(self._key, change)

    async def room(self, patience_s: float) -> bool:
        """Wait until more bytes may be held; answers False if that takes too long."""
        return not self.is_over or await self._holdings.room(self._key, patience_s)
