"""Collects logs on a manager: takes leases, reads pipes, writes, and moves checkpoints."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.errors import EccmgrError
from eccmgr.logs.collection.gathering.catalogue import LogCatalogue, read_catalogue, say_wishes
from eccmgr.logs.collection.gathering.checkpoint import Checkpoint, Start, start
from eccmgr.logs.collection.gathering.hanging import FAULT, Hanging, ends, in_thread
from eccmgr.logs.collection.gathering.paths import path_of
from eccmgr.logs.collection.gathering.sharing import LogShare, decide
from eccmgr.logs.collection.gathering.stand import Entries, Stand, Taking, Unit
from eccmgr.logs.collection.gathering.targets import LogTarget
from eccmgr.logs.collection.gathering.trouble import LogTrouble
from eccmgr.logs.collection.gathering.writing import WriteBatch, Writer, Writing, reason
from eccmgr.logs.collection.news import Wishes
from eccmgr.logs.collection.options import GatheringOptions
from eccmgr.logs.collection.pipe import calls
from eccmgr.logs.collection.pipe.calls import CommitVerdict, LogLease, PipeKeys, place_in
from eccmgr.logs.collection.places import LogPlace
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

T = TypeVar("T")
log = structlog.get_logger()

LOOK_S = 1.0
"""The time between two looks at who collects what."""
_GATHER_S = 0.3
"""The time for which bytes gather before they are written, unless there are many."""
_SHORTEST_S = 0.02
"""The pause after many bytes: their node fills the pipe again at once."""
_GROUP = 32
_ENTRIES_AT_ONCE = 128
_MANY_BYTES = 256 * 1024


class Gatherer:
    """The collection on this manager, while it has a session."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, session: Session, writer: Writer, how: GatheringOptions
    ) -> None:
        self._link, self._keys, self._options, self._session = link, keys, options, session
        self.writer, self.how = writer, how
        self._hanging = Hanging()
        self.stands: dict[Unit, Stand] = {}
        self._not_begun: dict[Unit, LogTrouble] = {}
        """The logs whose lease this manager has, and whose files it cannot bring to where they were left."""
        self.catalogue = LogCatalogue({}, {}, {})
        self.counted: Counter[str] = Counter()
        """Since the start: the bytes and lines written, and the bytes lost before anybody read them."""
        self._turn = asyncio.Lock()
        """Held while stands change, and while bytes are written for them."""
        self._said: tuple[str, Wishes] | None = None

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._for_ever(self.look, LOOK_S))
            tasks.create_task(self._for_ever(self._collect, _GATHER_S))

    async def _for_ever(self, act: Callable[[], object], longest_s: float) -> None:
        """Act for ever: without a pause while there may be more to do, then with pauses that grow to `longest_s`."""
        pause_s = longest_s
        while True:
            began = time.monotonic()
            again = False
            try:
                again = bool(await act())  # type: ignore[misc]
            except EccmgrError as error:
                log.debug("logs not collected", reason=str(error))
                await self._link.pause(LOOK_S)
            if again:
                pause_s = _SHORTEST_S
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(max(0.01, pause_s - (time.monotonic() - began)))
                pause_s = min(longest_s, 2 * pause_s)

    async def finish(self) -> None:
        """Write what is under way, and give all leases back."""
        async with self._turn:
            for unit in [*self.stands, *self._not_begun]:
                await self._give_back(unit)

    def faults(self) -> dict[Unit, str]:
        """The logs that this manager cannot write, each with the reason."""
        troubles = self._not_begun | {unit: stand.trouble for unit, stand in self.stands.items()}
        return {unit: trouble.fault for unit, trouble in troubles.items() if trouble.fault}

    # Who collects what.

    async def look(self) -> None:
        """Take and give back leases, and check those that this manager has. Raises EccmgrError."""
        private = self._session.private_name
        if not self._session.joined.is_set():
            async with self._turn:
                self.stands.clear()
                self._not_begun.clear()
            return
        wishes = Wishes(
            self._session.identity.name,
            self.how.subscribers,
            {node: subscribers for node, (_, subscribers) in self.how.of_nodes.items()},
        )
        if (private, wishes) != self._said:
            await say_wishes(self._link, self._keys, private, wishes)
            self._said = private, wishes
        everybody = {*wishes.subscribers, *(name for names in wishes.of_nodes.values() for name in names)}
        self.catalogue = found = await read_catalogue(self._link, self._keys, everybody)
        if private not in found.managers:
            await say_wishes(self._link, self._keys, private, wishes)
            return
        holders = found.holders()
        decision = decide(private, found.managers, holders)
        mine = {*decision.take, *(share for share, holder in holders.items() if holder == private)}
        async with self._turn:
            # A thread that hangs may go on to write at any time. Until then the whole share stays here.
            give_back = {
                share for share in decision.give_back if not any(unit in self._hanging for unit in found.units(share))
            }
            for share in give_back:
                for unit in found.units(share):
                    await self._give_back(unit)
            self._drop_lost(private)
            for share in mine - give_back:
                await self._take_all(share, private)
            for stand in list(self.stands.values()):
                await self._check(stand)

    def _drop_lost(self, private: str) -> None:
        """Forget the stands whose lease another manager has, or whose log is gone."""
        for unit in {*self.stands, *self._not_begun}:
            state, stand = self.catalogue.states.get(unit), self.stands.get(unit)
            if state is None or state.holder != private:
                self.stands.pop(unit, None)
                self._not_begun.pop(unit, None)
            elif stand is not None and stand.lease.private != private:
                del self.stands[unit]

    async def _take_all(self, share: LogShare, private: str) -> None:
        now = time.monotonic()
        for unit in self.catalogue.units(share):
            if (
                unit not in self.stands
                and not self._hanging.holds_up(unit, None)
                and not self._not_begun.get(unit, LogTrouble()).waits(now)
                and self.how.template_for(unit.node) is not None
            ):
                await self._take(unit, private)

    async def _take(self, unit: Unit, private: str) -> None:
        """Take a lease, and go on where the log was left."""
        keys = PipeKeys.of(self._keys, unit.node, unit.log)
        leased = await self._link.run(calls.take_lease(keys, self._options, unit.subscriber, private))
        if leased.lease is None:
            return
        kept = Checkpoint.parse(leased.checkpoint)
        try:
            begin = await self._begin(unit, kept, leased.lease.epoch)
        except OSError as error:
            await self._cannot_begin(unit, keys, leased.lease, reason(error))
            return
        if begin is None:
            await self._cannot_begin(unit, keys, leased.lease, FAULT)
            return
        self._not_begun.pop(unit, None)
        stores = kept.stores if kept is not None else {}
        stand = Stand(unit, keys, leased.lease, begin.place, begin.target, begin.number, stores, begin.lost)
        stand.wall_ms = begin.wall_ms
        self.stands[unit] = stand
        log.info("log taken", node=unit.node, log=unit.log, subscriber=unit.subscriber)

    async def _cannot_begin(self, unit: Unit, keys: PipeKeys, lease: LogLease, fault: str) -> None:
        """Try again later, and hold up nobody until then. The log says it once."""
        trouble = self._not_begun.setdefault(unit, LogTrouble())
        if trouble.add(fault, time.monotonic()):
            log.error("log not collected", node=unit.node, log=unit.log, reason=fault)
        await self._stall(trouble, keys, lease)

    async def _stall(self, trouble: LogTrouble, keys: PipeKeys, lease: LogLease, checkpoint: str = "") -> None:
        """Have Redis hold up nobody for a log that cannot be written. `checkpoint` counts if it has none yet."""
        if not trouble.is_told:
            await self._link.run(calls.stall(keys, self._options, lease, checkpoint))
            trouble.is_told = True

    async def _begin(self, unit: Unit, kept: Checkpoint | None, epoch: int) -> Start | None:
        """Where to go on with a log; None if a file system does not answer. Raises OSError."""
        notes, writer = self.writer.notes, self.writer
        noted = await self._done(in_thread(lambda: notes.read(unit.subscriber, unit.node, unit.log)), unit)
        if noted is None:
            return None
        begin = start(kept, noted.result(), notes.store)
        if (target := begin.target) is None or self._hanging.holds_up(unit, target):
            return begin if target is None else None
        restored = await self._done(in_thread(lambda: writer.begin(unit, begin, target, epoch)), unit, target)
        return None if restored is None else begin._replace(target=restored.result())

    async def _done(
        self, work: "asyncio.Future[T]", unit: Unit, target: LogTarget | None = None
    ) -> "asyncio.Future[T] | None":
        """Work for a log that has come to its end; None if it hangs and is set aside."""
        if await ends(work, lambda: 0):
            return work
        self._hanging.add(work, unit, target)
        self.writer = self.writer.another()
        return None

    async def _give_back(self, unit: Unit) -> None:
        if unit in self._hanging:
            return
        keys = PipeKeys.of(self._keys, unit.node, unit.log)
        lease = await self._lease_of(unit, keys)
        if lease is not None:
            await self._link.run(calls.release(keys, lease))
            log.info("log given back", node=unit.node, log=unit.log, subscriber=unit.subscriber)
        # Until then it stays: a lease that nobody knows of would keep every manager from the log.
        self.stands.pop(unit, None)
        self._not_begun.pop(unit, None)

    async def _lease_of(self, unit: Unit, keys: PipeKeys) -> LogLease | None:
        """The lease that this manager has of a log, also if it could not begin with it."""
        if unit in self.stands:
            return self.stands[unit].lease
        state, private = self.catalogue.states.get(unit), self._session.private_name
        if state is None or state.holder != private:
            return None
        # A manager that takes a lease once more, which it has already, gets the same one.
        return (await self._link.run(calls.take_lease(keys, self._options, unit.subscriber, private))).lease

    async def _check(self, stand: Stand) -> None:
        """Find out whether the pipe still brings what this stand needs next."""
        state = self.catalogue.states.get(stand.unit)
        tail = place_in(state.tail) if state is not None else None
        if state is None or tail is None:
            return
        if state.sent < int(stand.cursor.partition(b"-")[0]):
            # The server has forgotten what this manager has read.
            stand.cursor = b"0-0"
        behind = stand.place is not None and tail.order > stand.place.order
        waits = stand.trouble.waits(time.monotonic()) or self._hanging.holds_up(stand.unit, stand.target)
        idle_at = state.tail.decode() if behind and not waits else ""
        if idle_at and stand.idle_at == idle_at and stand.idle_cursor == stand.cursor and stand.place is not None:
            # Nothing came for a while, though the pipe ends behind this place.
            stand.cursor = b"0-0"
            entries = await self._read([stand], 1)
            if not entries.get(stand.keys.pipe) and (not stand.trouble.fault or await self._can_write(stand)):
                await self._link.run(calls.rewind(stand.keys, stand.lease, stand.place, stand.wall_ms))
        stand.idle_at, stand.idle_cursor = idle_at, stand.cursor

    # Reading and writing.

    async def _collect(self) -> bool:
        """Read all pipes once, and write what came; answers whether there may be more. Raises EccmgrError."""
        more = False
        if not self._session.joined.is_set():
            return False
        async with self._turn:
            await self._settle_all(self._hanging.take_ended())
        now = time.monotonic()
        ready = [stand for stand in self.stands.values() if not stand.trouble.waits(now)]
        for at in range(0, len(ready), _GROUP):
            async with self._turn:
                group = [stand for stand in ready[at : at + _GROUP] if self.stands.get(stand.unit) is stand]
                more |= await self._collect_from(
                    [stand for stand in group if not self._hanging.holds_up(stand.unit, stand.target)]
                )
        return more

    async def _collect_from(self, group: Sequence[Stand]) -> bool:
        more, writings = False, []
        layers: dict[str, list[Stand]] = {}
        for stand in group:
            layers.setdefault(stand.unit.subscriber, []).append(stand)
        for stands in layers.values():
            count = max(4, _ENTRIES_AT_ONCE // len(stands))
            entries = await self._read(stands, count)
            for stand in stands:
                came = entries.get(stand.keys.pipe, ())
                if came:
                    taking = stand.take(came, path_of(stand.unit, self.how, self.catalogue))
                    writings.append(Writing(stand, taking))
                    more |= len(came) >= count or taking.size >= _MANY_BYTES or taking.cursor != came[-1][0]
        if writings and await self._write([each for each in writings if each.taking.has_moved(each.stand)]):
            await self._settle_all(writings)
        return more

    async def _write(self, writings: Sequence[Writing]) -> bool:
        """Write to the files; answers whether that ended. Else what hangs is set aside, and the rest comes again."""
        batch, writer = WriteBatch(writings), self.writer
        if not writings:
            return True
        work = in_thread(lambda: writer.write(batch))
        if await ends(work, batch.steps):
            work.result()
            return True
        self.writer = writer.another()
        for writing in self._hanging.add_batch(work, batch):
            await self._failed(writing.stand, FAULT, writing.taking.begin)
        return False

    async def _settle_all(self, writings: Sequence[Writing]) -> None:
        settled = await asyncio.gather(*map(self._settle, writings), return_exceptions=True)
        for error in settled:
            if isinstance(error, BaseException):
                raise error

    async def _read(self, stands: Sequence[Stand], count: int) -> Mapping[str, Entries]:
        """The next entries of the pipes."""
        pipes = [stand.keys.pipe for stand in stands]
        reply = await self._link.call("XREAD", "COUNT", count, "STREAMS", *pipes, *(stand.cursor for stand in stands))
        return {pipe.decode(errors="replace"): entries for pipe, entries in replies.streams(reply).items()}

    async def _settle(self, writing: Writing) -> None:
        """Move the checkpoint of what was written, or find out why nothing was."""
        stand, taking = writing.stand, writing.taking
        if writing.is_fenced and self.stands.get(stand.unit) is stand:
            del self.stands[stand.unit]
        if writing.fault:
            return await self._failed(stand, writing.fault, taking.begin)
        if self.stands.get(stand.unit) is not stand:
            return None
        if taking.has_moved(stand) and taking.end is not None:
            await self._commit(writing)
        if taking.gap and stand.place is not None and self.stands.get(stand.unit) is stand:
            if stand.trouble.fault and not await self._can_write(stand):
                return None
            stand.cursor = b"0-0"
            await self._link.run(calls.rewind(stand.keys, stand.lease, stand.place, stand.wall_ms))
        return None

    async def _can_write(self, stand: Stand) -> bool:
        """Whether a target can be written again: only then is it worth that the node sends anew what it lacks."""
        writer, path = self.writer, path_of(stand.unit, self.how, self.catalogue)(int(time.time() * 1000))
        work = in_thread(lambda: writer.probe(stand.target, path))
        try:
            done = await self._done(work, stand.unit, stand.target)
            if done is not None:
                done.result()
                return True
        except OSError as error:
            await self._failed(stand, reason(error))
        return False

    async def _commit(self, writing: Writing) -> None:
        stand, taking = writing.stand, writing.taking
        assert taking.end is not None
        number, store, target = stand.number + 1, self.writer.notes.store, writing.target
        stores = Checkpoint("", stores=stand.stores).seen_stores(store, number)
        path, length = (target.path, target.length) if target is not None else ("", 0)
        lost, wall_ms = stand.lost + taking.lost, max(stand.wall_ms, taking.wall_ms)
        said = Checkpoint(
            taking.end.dump(), number, stand.lease.epoch, store, path, length, wall_ms, stores, lost
        ).dump()
        try:
            verdict = await self._link.run(calls.commit(stand.keys, self._options, stand.lease, said, taking.has))
        except EccmgrError:
            # It may be there or not. Whoever takes the lease next finds out.
            self.stands.pop(stand.unit, None)
            raise
        if verdict is not CommitVerdict.KEPT:
            self.stands.pop(stand.unit, None)
            return
        stand.place, stand.target, stand.number, stand.cursor = taking.end, target, number, taking.cursor
        stand.wall_ms, stand.stores, stand.lost = wall_ms, stores, lost
        self.counted["written"] += taking.size
        self.counted["lines"] += sum(data.count(b"\n") for data in taking.data)
        self._report_lost(stand, taking)
        if stand.trouble.clear():
            log.info("log written again", node=stand.unit.node, log=stand.unit.log)

    def _report_lost(self, stand: Stand, taking: Taking) -> None:
        if taking.lost:
            self.counted["lost"] += taking.lost
            log.warning("log bytes lost", node=stand.unit.node, log=stand.unit.log, bytes=taking.lost)

    async def _failed(self, stand: Stand, fault: str, begin: LogPlace | None = None) -> None:
        """Try again later, and hold up nobody until then. The log says it once.

        The pipe goes on without a stand that fails, so one without a place needs that of its first record, `begin`.
        """
        if stand.trouble.add(fault, time.monotonic()):
            path = stand.target.path if stand.target is not None else ""
            log.error("log not written", node=stand.unit.node, log=stand.unit.log, path=path, reason=fault)
        first = ""
        if not stand.trouble.is_told and stand.place is None and begin is not None:
            stand.place, first = begin, Checkpoint(begin.dump(), epoch=stand.lease.epoch).dump()
        await self._stall(stand.trouble, stand.keys, stand.lease, first)
