"""Logs the membership: one line in the log for each join, return, leave and loss, with the reason."""

from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from eccmgr.cluster.absence import absence
from eccmgr.cluster.names import natural, public_name
from eccmgr.cluster.view import Seat, View
from eccmgr.redis.reading import Count, check_lines, decoded

log = structlog.get_logger()

SESSION_ENDS = ("leave", "lost", "replaced")
"""The events that end a session."""
_BUFFERED_MAX = 10_000
_MISSED = "it happened while this manager heard nothing of the cluster"


class MembershipEvent(msgspec.Struct, frozen=True):
    """An event that happened to members or to absent nodes.

    `members` has the private names of members, or the names of absent nodes. `since`, `to` and `by` belong to some
    kinds of event.
    """

    event: str
    view: Count
    members: tuple[str, ...]
    since: str | None = None
    to: str | None = None
    by: str | None = None


_event = msgspec.json.Decoder(MembershipEvent)


class Journal:
    """Logs the events that it hears. By comparing views it finds the events that it did not hear.

    `view` answers the present nodes.
    """

    def __init__(self, view: Callable[[], Awaitable[View]]) -> None:
        self._view = view
        self._known: dict[str, Seat] | None = None
        self._waiting: list[MembershipEvent] | None = None
        self._leader = ""
        self.ended: Counter[str] = Counter(dict.fromkeys(SESSION_ENDS, 0))
        """The number of sessions of nodes that ended, by how, since this manager began to listen."""

    def leads(self, leader: str) -> None:
        """The member with this private name leads; nobody does if it is empty."""
        if leader == self._leader:
            return
        before, self._leader = self._leader, leader
        if not leader:
            log.warning("no leader", before=before)
        elif before:
            log.warning("leader changed", leader=public_name(leader), session=leader, before=before)
        else:
            log.info("leader", leader=public_name(leader), session=leader)

    def heard(self, raw: bytes) -> None:
        """Take an event as it was published. Raises ValueError if it is broken."""
        event = decoded(_event, raw)
        check_lines(*event.members, event.to, event.by)
        if self._waiting is None:
            self._write(event)
        elif len(self._waiting) < _BUFFERED_MAX:
            self._waiting.append(event)

    async def look(self) -> None:
        """Look for events that were not heard. Call this whenever the manager begins to listen. Raises EccmgrError."""
        self._waiting = []
        try:
            view = await self._view()
            self._compare(view)
            for event in self._waiting:
                if event.view > view.number:
                    self._write(event)
        finally:
            self._waiting = None

    def _compare(self, view: View) -> None:
        known, self._known = self._known, dict(view.live)
        if known is None:
            log.info("membership", view=view.number, nodes=len(view.live), absent=len(view.absent))
            return
        for key in sorted(known.keys() - view.live.keys(), key=natural):
            what = "node lost" if key in view.absent else "node left"
            self.ended["lost" if key in view.absent else "leave"] += 1
            log.warning(what, node=known[key].name, session=known[key].private_name, reason=_MISSED)
        for key in sorted(view.live, key=natural):
            seat = view.live[key]
            if key not in known or known[key].private_name not in (seat.private_name, seat.before):
                log.info("node joined", node=seat.name, session=seat.private_name, reason=_MISSED)

    def _write(self, event: MembershipEvent) -> None:
        what = event.event
        for member in event.members:
            name = public_name(member)
            kind = "manager" if member.startswith("#mgr-") else "member" if member.startswith("#oth-") else "node"
            said = {kind: name, "session": member} if member.startswith("#") else {kind: name}
            if kind == "node" and what in SESSION_ENDS:
                self.ended[what] += 1
            if kind == "node" and self._known is not None:
                self._note(what, name, member)
            match what:
                case "join" if since := _moment(event.since):
                    log.info(f"{kind} returned", **said, absent=absence(since))
                case "join":
                    log.info(f"{kind} joined", **said)
                case "leave":
                    log.info(f"{kind} left", **said, reason="it ended its session itself")
                case "replaced":
                    log.warning(f"{kind} replaced", **said, reason="another process took its name over")
                case "lost":
                    log.warning(f"{kind} lost", **said, reason="no heartbeat came within its lease")
                case "moved":
                    log.info(f"{kind} moved", **said, subcluster=event.to, reason="its bus file says so")
                case "tagged":
                    log.info(f"{kind} tagged", **said, tags=event.to)
                case "forgotten":
                    why = f"{event.by} said so" if event.by else "absent_ttl is over"
                    log.info(f"{kind} forgotten", **said, reason=why)

    def _note(self, what: str, name: str, private: str) -> None:
        assert self._known is not None
        if what == "join":
            self._known[name.lower()] = Seat(private, name, "")
        elif what in SESSION_ENDS:
            self._known.pop(name.lower(), None)


def _moment(since: str | None) -> int | None:
    return int(since) if since is not None and since.isascii() and since.isdigit() and len(since) < 15 else None
