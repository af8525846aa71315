"""The names of this host's users, looked up off the event loop: their database may be on the network, and hang."""

import asyncio
import contextlib
import pwd
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import structlog

from eccmgr.control.peer import nameless

log = structlog.get_logger()

KEPT_S = 60.0
"""The longest time for which a name is believed, counted from the beginning of its look-up."""
PATIENCE_S = 5.0
"""The longest wait for a look-up. Until it ends, the user has no name, and no role."""
LOOKING_MAX = 64
"""The most look-ups at a time. Root's is one more."""
_NAMES_MAX = 10_000
_SEPARATORS = frozenset(":,")


def name_in_database(uid: int) -> str:
    """The name of a user in the host's database; "" if there is none. It may take long."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""


class _Kept(NamedTuple):
    name: str
    until_s: float


class _LookUp(NamedTuple):
    name: "asyncio.Future[str]"
    begun_s: float


class UserNames:
    """The names by user id. Each look-up has a thread of its own, so that one that hangs delays no other user's."""

    def __init__(
        self,
        look_up: Callable[[int], str] = name_in_database,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`look_up` answers a name, or "" if there is none; it is called in a thread."""
        self._look_up, self._clock, self._patience_s = look_up, clock, patience_s
        self._names: OrderedDict[int, _Kept] = OrderedDict()
        self._looking: dict[int, _LookUp] = {}
        self._threads = 0

    def known(self, uid: int) -> str | None:
        """The name, if it was looked up within the last minute."""
        kept = self._names.get(uid)
        return kept.name if kept is not None and self._clock() < kept.until_s else None

    async def name_of(self, uid: int) -> str:
        """The name, which is looked up if it is not known; `uid N` if there is none, or none in time."""
        if (name := self.known(uid)) is not None:
            return name
        now = self._clock()
        looking = self._looking.get(uid)
        if looking is None or now - looking.begun_s >= KEPT_S:
            if self._threads >= LOOKING_MAX and uid != 0:
                return nameless(uid)
            looking = self._begin(uid, now)
        try:
            async with asyncio.timeout(max(0.0, looking.begun_s + self._patience_s - now)):
                return await asyncio.shield(looking.name)
        except TimeoutError:
            return nameless(uid)

    def _begin(self, uid: int, now: float) -> _LookUp:
        loop = asyncio.get_running_loop()
        looking = self._looking[uid] = _LookUp(loop.create_future(), now)
        self._threads += 1

        def look() -> None:
            name = self._look_up(uid)
            # The daemon may have ended meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._found, uid, name, looking)

        # The end of the process waits for no such thread.
        threading.Thread(target=look, name=f"name of uid {uid}", daemon=True).start()
        return looking

    def _found(self, uid: int, name: str, looking: _LookUp) -> None:
        self._threads -= 1
        if not name or not name.isprintable() or _SEPARATORS & set(name):
            # A name with a colon could pass for an identity of another kind.
            name = nameless(uid)
        took_s = self._clock() - looking.begun_s
        if took_s >= self._patience_s:
            log.warning("the name of a user was found late", uid=uid, seconds=round(took_s, 1))
        if not looking.name.done():
            looking.name.set_result(name)
        if self._looking.get(uid) is looking:
            del self._looking[uid]
            self._names[uid] = _Kept(name, looking.begun_s + KEPT_S)
            self._names.move_to_end(uid)
            while len(self._names) > _NAMES_MAX:
                self._names.popitem(last=False)
