"""Views as Redis keeps them. A process reads each view once, page by page, and skips some views if they change
quickly."""

import asyncio
import time
from collections.abc import Callable

from eccmgr.access.register import Register
from eccmgr.cluster.calls import views
from eccmgr.cluster.calls.views import FIRST_PAGE, ForgetVerdict, ViewNumber
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.view import Seat, View, Views
from eccmgr.errors import CommandError
from eccmgr.redis.bounds import FIELDS_MAX, too_many
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

# A view that no command expects is kept this long after it was read.
_READING_MS = 60_000
# If the membership changes all the time, a reader rests this many times as long as it reads views.
_REST = 10


async def read_hash(link: Link, key: str) -> dict[bytes, bytes]:
    """All fields of a hash. Raises RedisUnreachable, and Unreadable if it has more fields than we ever write."""
    values: dict[bytes, bytes] = {}
    after = FIRST_PAGE
    while True:
        after, fields = await link.run(views.page(key, after))
        values.update(fields)
        if len(values) > FIELDS_MAX:
            raise too_many(key, FIELDS_MAX)
        if after == FIRST_PAGE:
            return values


class Roster:
    """The views of one cluster, for one process."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, register: Callable[[], Register | None] = lambda: None
    ) -> None:
        """With a `register` of nodes, a node that Redis does not name is absent."""
        self._link = link
        self._keys = keys
        self._options = options
        self._register = register
        self._views = Views()
        link.on_move += (self._views.forget, self.changed)
        self._reading = asyncio.Lock()
        self._rested = 0.0
        self._current: View | None = None
        self._changes = 0

    @property
    def newest(self) -> str:
        """The view that was read last, in the form of the scripts."""
        return self._views.newest

    @property
    def wait_s(self) -> float:
        """The time for which `lately` will not read another view."""
        return max(0.0, self._rested - time.monotonic())

    async def now(self) -> View:
        """The present nodes of the cluster. Raises RedisUnreachable."""
        changes = self._changes
        view = await self.at(await self._link.run(views.roster(self._keys, self._options, _READING_MS, self.newest)))
        if changes == self._changes:
            self._current = view
        return view

    async def forget(self, seat: Seat, issuer: str) -> None:
        """Forget the absent node at `seat`. Raises CommandError if the node stays expected."""
        if seat.key in (self._register() or ()):
            raise CommandError(
                f"Node '{seat.name}' is not forgotten: its certificate is in the register of nodes; take it out of the "
                "folder node_certificates, and reload"
            )
        answer = await self._link.run(views.forget(self._keys, self._options, seat.key, issuer))
        match answer.verdict:
            case ForgetVerdict.FORGOTTEN:
                pass
            case ForgetVerdict.ALIVE:
                raise CommandError(f"Node '{seat.name}' is alive; only a node that is absent can be forgotten")
            case ForgetVerdict.NAMED:
                raise CommandError(
                    f"Node '{seat.name}' is not forgotten: the bus file beside {' and '.join(answer.files)} names it; "
                    "take it out of that file, and reload"
                )
            case ForgetVerdict.UNKNOWN:
                raise CommandError(f"Node '{seat.name}' is no longer expected")

    def register_changed(self) -> None:
        """The register of nodes has changed."""
        self._views.forget()
        self.changed()

    async def as_told(self) -> View:
        """The nodes as `now` would answer, but without asking Redis while this process hears of no change
        (`changed`)."""
        return self._current or await self.now()

    def changed(self) -> None:
        """The membership may have changed."""
        self._current = None
        self._changes += 1

    async def at(self, view_number: ViewNumber) -> View:
        """The view with that number, from this process or from Redis.

        Raises CommandError if neither has it, and RedisUnreachable.
        """
        number, born = view_number
        if (view := self._views.get(born, number)) is None:
            async with self._reading:
                view = self._views.get(born, number) or await self._read(born, number)
        return view

    async def lately(self, current: ViewNumber, last: View | None) -> View:
        """The current view, which has this number, or `last` if it is too early to read another view.

        Raises RedisUnreachable.
        """
        number, born = current
        view = self._views.get(born, number)
        if view is None and last is not None and self.wait_s:
            return last
        return view or await self.now()

    async def _read(self, born: bytes, number: int) -> View:
        started = time.monotonic()
        live = await read_hash(self._link, self._keys.view(number))
        if b"" not in live:
            raise CommandError(f"The expected nodes of view {number} are no longer known")
        view = View.read(number, live, await read_hash(self._link, self._keys.absent_in_view(number)))
        if (register := self._register()) is not None:
            view = view.with_registered(register)
        self._views.keep(born, view)
        ended = time.monotonic()
        self._rested = ended + _REST * (ended - started)
        return view
