"""What has happened in a cluster, in the words of an operator: made of the audit, of runs of schedules and of the
latest commands. Pure."""

import enum
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.cluster.audit import AuditEntry
from eccmgr.cluster.history import PastCommand
from eccmgr.cluster.names import fold, public_name
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.standing import duration
from eccmgr.schedules.schedule import Fate, Firing
from eccmgr.text.counting import counted

_NAMES_SHOWN = 20
_SECOND_MS, _MINUTE_MS = 1000, 60_000
_REMEMBERED_MAX = 50_000


class Subject(enum.StrEnum):
    """What has changed."""

    MEMBER = "member"
    VIP = "vip"
    COMMAND = "command"
    JOB = "job"
    SCHEDULE = "schedule"
    CONFIGURATION = "config"


@dataclass(frozen=True, slots=True)
class Happening:
    """One change: what happened, why, how long that took, and who did it.

    `at_ms` is the server's wall clock, `order` sorts changes of one moment. `names` are the nodes, addresses and ids
    that it is about, in small letters.
    """

    at_ms: int
    subject: Subject
    what: str
    why: str = ""
    took_ms: int | None = None
    by: str = ""
    names: frozenset[str] = field(default=frozenset())
    order: tuple[int, ...] = ()


class Teller:
    """Tells the entries of an audit, the oldest first. It remembers what it needs to say how long a change took."""

    def __init__(self, commands: Iterable[PastCommand] = ()) -> None:
        self._commands = {past.id: past for past in commands}
        self._freed: dict[str, int] = {}
        """When each VIP was released."""
        self._ended: dict[str, int] = {}
        """When each node's last session ended with its VIPs; the name is in small letters."""

    def tell(self, entry: AuditEntry) -> Happening | None:
        """What an entry says; None for an entry that is of no interest here, such as a line of an account."""
        for remembered in (self._freed, self._ended):
            if len(remembered) > _REMEMBERED_MAX:
                remembered.clear()
        told = _TOLD.get(entry.what)
        return None if told is None else told(self, entry)

    def _member(self, entry: AuditEntry) -> Happening | None:
        privates = entry["members"].split()
        kinds = {_kind(private) for private in privates}
        kind = kinds.pop() if len(kinds) == 1 else "member"
        names = [public_name(private) if private.startswith("#") else private for private in privates]
        who = f"{kind}{'s' if len(names) > 1 else ''} {fold(names, _NAMES_SHOWN)}"
        away_ms = _number(entry["since"])
        took_ms = None if away_ms is None else max(0, entry.at_ms - away_ms)
        match entry["change"]:
            case "join" if took_ms is not None:
                what, why = f"{who} returned", "it was absent"
            case "join":
                what, why = f"{who} joined", f"subcluster {entry['subcluster']}" if entry["subcluster"] else ""
            case "leave":
                what, why = f"{who} left", "ended its session itself"
            case "replaced":
                what, why = f"{who} replaced", "another process took the name over"
            case "lost":
                what, why = f"{who} lost", "no heartbeat came within the lease"
            case "moved":
                what, why = f"{who} moved to subcluster {entry['to']}", "the bus file says so"
            case "forgotten":
                what, why = f"{who} forgotten", "absent_ttl is over"
            case change:
                what, why = f"{who}: {change}", ""
        return self._made(entry, Subject.MEMBER, what, names, why=why, took_ms=took_ms)

    def _forget(self, entry: AuditEntry) -> Happening:
        what = f"node {entry['node']} forgotten"
        return self._made(entry, Subject.MEMBER, what, [entry["node"]], why="by command", by=entry["issuer"])

    def _vip(self, entry: AuditEntry) -> Happening:
        address, node = entry["address"], entry["node"]
        names = [address, node]
        match entry["change"]:
            case "granted":
                before = entry["from"]
                names += [before]
                freed = self._freed.pop(address, None)
                freed = self._ended.get(before.lower()) if freed is None and before else freed
                took_ms = None if freed is None else max(0, entry.at_ms - freed)
                moved = f" from {before}" if before and before != node else ""
                what = f"{address} taken by {node}{moved}, epoch {entry['epoch']}"
                return self._made(entry, Subject.VIP, what, names, why=entry["reason"], took_ms=took_ms)
            case "released":
                self._freed[address] = entry.at_ms
                to = f", reserved for {entry['to']}" if entry["to"] else ""
                names += [entry["to"]]
                what = f"{address} released by {node}{to}"
            case "stated":
                what = f"{address} stated by {node}, epoch {entry['epoch']}"
            case change:
                what = f"{address}: {change} ({node})"
        return self._made(entry, Subject.VIP, what, names, why=entry["reason"])

    def _vip_session(self, entry: AuditEntry) -> Happening:
        node = entry["node"]
        self._ended[node.lower()] = entry.at_ms
        by = "" if entry["by"] == node else entry["by"]
        return self._made(entry, Subject.VIP, f"VIPs of {node} are free", [node, by], why=entry["reason"], by=by)

    def _command(self, entry: AuditEntry) -> Happening:
        made, past = entry["id"], self._commands.get(entry["id"])
        account = f" to {past.target}: {past.answered} of {past.expected} answered" if past is not None else ""
        what = f"{made} {without_secrets(entry['text'])}{account}"
        return self._made(entry, Subject.COMMAND, what, [made], by=entry["issuer"])

    def _abort(self, entry: AuditEntry) -> Happening:
        return self._made(entry, Subject.COMMAND, f"{entry['id']} withdrawn", [entry["id"]], by=entry["issuer"])

    def _flush(self, entry: AuditEntry) -> Happening:
        what = f"results of {counted(_number(entry['commands']) or 0, 'command')} flushed"
        return self._made(entry, Subject.COMMAND, what, (), why="by command", by=entry["issuer"])

    def _job(self, entry: AuditEntry) -> Happening:
        node, job = entry["node"], entry["job"]
        what = f"job {job} on {node} {entry['state']}: {without_secrets(entry['text'])}"
        why = f"command {entry['id']}" if entry["id"] else ""
        took_ms = _number(entry["took_ms"])
        names = [job, node, entry["id"]]
        return self._made(entry, Subject.JOB, what, names, why=why, took_ms=took_ms, by=entry["issuer"])

    def _schedule(self, entry: AuditEntry) -> Happening:
        text = f": {without_secrets(entry['text'])}" if entry["text"] else ""
        what = f"schedule {entry['id']} {entry['change']}{text}"
        return self._made(entry, Subject.SCHEDULE, what, [entry["id"]], why=entry["when"], by=entry["issuer"])

    def _configuration(self, entry: AuditEntry) -> Happening:
        daemon = entry["daemon"]
        what = f"{daemon} changed: {entry['options']}"
        return self._made(entry, Subject.CONFIGURATION, what, [daemon.rpartition(" ")[2]], by=entry["user"])

    def _made(
        self,
        entry: AuditEntry,
        subject: Subject,
        what: str,
        names: Iterable[str],
        why: str = "",
        took_ms: int | None = None,
        by: str = "",
    ) -> Happening:
        about = frozenset(name.lower() for name in names if name)
        return Happening(entry.at_ms, subject, what, why, took_ms, by, about, entry.order)


_TOLD = {
    "member": Teller._member,
    "forget": Teller._forget,
    "vip": Teller._vip,
    "vip session": Teller._vip_session,
    "command": Teller._command,
    "abort": Teller._abort,
    "flush": Teller._flush,
    "job": Teller._job,
    "schedule": Teller._schedule,
    "configuration": Teller._configuration,
}


def told(entries: Sequence[AuditEntry], commands: Iterable[PastCommand] = ()) -> list[Happening]:
    """What these entries say, the oldest first."""
    teller = Teller(commands)
    return [happening for entry in entries if (happening := teller.tell(entry)) is not None]


def of_run(run: Firing) -> Happening:
    """One run of a schedule."""
    note = f": {run.note}" if run.note and run.fate is not Fate.OK else ""
    what = f"schedule {run.id} ran on {run.by}: {without_secrets(run.text)}: {run.fate.value}"
    if run.fate in (Fate.MISSED, Fate.SKIPPED):
        what = f"schedule {run.id} did not run: {without_secrets(run.text)}: {run.fate.value}"
    names = frozenset({run.id.lower(), run.by.lower()})
    return Happening(run.due_ms, Subject.SCHEDULE, f"{what}{note}", "it was due", None, run.user, names)


def merged(*lists: Iterable[Happening]) -> list[Happening]:
    """All of them in one list, the oldest first."""
    return sorted((one for happenings in lists for one in happenings), key=lambda one: (one.at_ms, one.order))


def facts_of(happening: Happening) -> Mapping[str, object]:
    """The fields of the JSON form, without the time."""
    return {
        "subject": happening.subject.value,
        "what": happening.what,
        "why": happening.why or None,
        "took_ms": happening.took_ms,
        "by": happening.by or None,
    }


def when(at_ms: int, now_s: float | None = None) -> str:
    """HH:MM:SS on this machine, with the date if that is not the day of `now_s` (Unix time; None: now)."""
    then, today = time.localtime(at_ms / 1000), time.localtime(now_s)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", then)


def took(took_ms: int) -> str:
    """`410 ms`, `4.1 s`, `2 h 13 m`."""
    if took_ms < _SECOND_MS:
        return f"{took_ms} ms"
    return f"{took_ms / 1000:.1f} s" if took_ms < _MINUTE_MS else duration(took_ms / 1000)


def _kind(private: str) -> str:
    return "manager" if private.startswith("#mgr-") else "member" if private.startswith("#oth-") else "node"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 15 else None
