"""Views as Redis keeps them: read once by a process, a part at a time, and not more often than it is worth."""

import asyncio
import time

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.view import Seat, View, Views
from eccmgr.errors import CommandError, Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole

PAGE = 250
"""About how many fields of a hash, or entries of a list, one call reads: no script holds the server for long."""

# What is only read, and no command expects, is kept for so long.
_READING_MS = 60_000
# Who follows a membership that changes all the time spends no more than one part in so many of his time on it.
_REST = 10


async def read_hash(link: Link, key: str) -> dict[bytes, bytes]:
    """All of a hash, however large. Raises RedisUnreachable."""
    found: dict[bytes, bytes] = {}
    at = b"0"
    while True:
        at, flat = await link.run("page", (key,), (at, PAGE))
        found.update(pairs(flat))
        if at == b"0":
            return found


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """Fields and values that the scripts answer in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


class Roster:
    """The views of one cluster, for one process."""

    def __init__(self, link: Link, keys: Keys, options: ClusterOptions) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._views = Views()
        link.on_move += (self._views.forget, self.changed)
        self._reading = asyncio.Lock()
        self._rested = 0.0
        self._current: View | None = None
        self._changes = 0

    @property
    def newest(self) -> str:
        """The view read last, as the scripts take it."""
        return self._views.newest

    @property
    def wait_s(self) -> float:
        """For how long yet `lately` reads no view."""
        return max(0.0, self._rested - time.monotonic())

    async def now(self) -> View:
        """The nodes that the cluster knows now. Raises RedisUnreachable."""
        keys = (self._keys.state, self._keys.roster, self._keys.absent)
        args = (to_ms(self._options.max_step_s), self._keys.view_prefix, _READING_MS, self.newest)
        changes = self._changes
        number, born = await self._link.run("roster", keys, args)
        try:
            view = await self.at(born, whole(number))
        except ValueError as error:
            raise Unreadable(f"The number of the view cannot be read: {error}") from error
        if changes == self._changes:
            self._current = view
        return view

    async def forget(self, seat: Seat, issuer: str) -> None:
        """Expect the absent node at `seat` no more. Raises CommandError where it is to be expected still."""
        keys = self._keys
        verdict, *files = await self._link.run(
            "forget",
            (
                *(keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
                *(keys.vips, keys.vip_changes, keys.audit),
            ),
            (to_ms(self._options.max_step_s), seat.key, issuer, self._options.audit_cap),
        )
        if verdict == b"alive":
            raise CommandError(f"Node '{seat.name}' is alive; only a node that is absent can be forgotten")
        if verdict == b"named":
            named = " and ".join(file.decode(errors="replace") for file in files)
            raise CommandError(
                f"Node '{seat.name}' is not forgotten: the bus file beside {named} names it; "
                "take it out of that file, and reload"
            )
        if verdict == b"unknown":
            raise CommandError(f"Node '{seat.name}' is expected no more")

    async def as_told(self) -> View:
        """As `now`, without asking where nothing has changed since, as far as this process was told (`changed`)."""
        return self._current or await self.now()

    def changed(self) -> None:
        """The membership has changed, or may have."""
        self._current = None
        self._changes += 1

    async def at(self, born: bytes, number: int) -> View:
        """View `number` of the numbering that began at `born`, which is at hand or is kept.

        Raises CommandError where it is not, RedisUnreachable.
        """
        if (view := self._views.get(born, number)) is None:
            async with self._reading:
                view = self._views.get(born, number) or await self._read(born, number)
        return view

    async def lately(self, born: bytes, number: int, last: View | None) -> View:
        """View `number`, which is the current one; while it is too early to read yet another, `last`.

        Raises RedisUnreachable.
        """
        view = self._views.get(born, number)
        if view is None and last is not None and self.wait_s:
            return last
        return view or await self.now()

    async def _read(self, born: bytes, number: int) -> View:
        started = time.monotonic()
        live = await read_hash(self._link, self._keys.view(number))
        if b"" not in live:
            raise CommandError(f"The nodes that were expected are not known any more (view {number})")
        view = View.read(number, live, await read_hash(self._link, self._keys.absent_in_view(number)))
        self._views.keep(born, view)
        ended = time.monotonic()
        self._rested = ended + _REST * (ended - started)
        return view
