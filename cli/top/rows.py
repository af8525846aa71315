"""The rows of each pane: what they say, and what is in trouble. Pure."""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cli.top.seen import FeedSeen, Item
from eccmgr.cluster.names import natural
from eccmgr.commands.standing import duration
from eccmgr.feed.happenings import took, when

_BARS = " ▁▂▃▄▅▆▇█"
_PROGRESS_CELLS = 10
_RECENT_MS = 60_000
LATE = "=late"
"""In place of a subcluster: the nodes that are late or absent."""

Value = str | float | None


class Trouble(enum.IntEnum):
    """How bad something is. What is worse comes first."""

    BAD = 0
    """It is lost, failed or has no holder."""
    OPEN = 1
    """It is late, or under way."""
    NONE = 2


@dataclass(frozen=True, slots=True)
class PaneRow:
    """A line of a pane: the cells, the values by which they are sorted, and the names of the nodes that it stands
    for."""

    key: str
    cells: tuple[str, ...]
    values: tuple[Value, ...]
    trouble: Trouble = Trouble.NONE
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pane:
    """A pane: the digit that chooses it, its title, its topics, its headings, and what makes its rows."""

    digit: str
    title: str
    topics: tuple[str, ...]
    headings: tuple[str, ...]
    rows: Callable[[FeedSeen, int], Iterable[PaneRow]]


def subcluster_rows(seen: FeedSeen, _now_ms: int) -> Iterable[PaneRow]:
    """A row for each subcluster."""
    for item in seen.subclusters:
        live, late, lost = (_count(item, state) for state in ("live", "late", "absent"))
        known = item.get("versions")
        versions = known if isinstance(known, dict) else {}
        said = ", ".join(f"{version or '?'} {number}" for version, number in versions.items())
        cells = (_text(item, "name"), str(live), str(late), str(lost), _sparkline(item.get("lease_ages")), said)
        trouble = Trouble.BAD if lost else Trouble.OPEN if late or len(versions) > 1 else Trouble.NONE
        yield PaneRow(cells[0].lower(), cells, (cells[0], live, late, lost, None, said), trouble)


def node_rows(seen: FeedSeen, subcluster: str) -> Iterable[PaneRow]:
    """A row for each node of a subcluster, named in small letters; with LATE for each node that is late or absent."""
    for key, item in seen.topics["members"].items():
        state = _text(item, "state")
        chosen = state != "live" if subcluster == LATE else _text(item, "subcluster").lower() == subcluster
        if not chosen:
            continue
        age = item.get("lease_age_ms")
        vips, tags = item.get("vips"), item.get("tags")
        number = len(vips) if isinstance(vips, list) else 0
        tagged = " ".join(f"{tag}={value}" for tag, value in tags.items()) if isinstance(tags, dict) else ""
        since = _moment(item, "since")
        aged = took(age) if isinstance(age, int) and state == "late" else ""
        aged = f"since {when(since)}" if since is not None else aged
        cells = (
            *(_text(item, "name"), _text(item, "subcluster"), state, aged),
            *(_text(item, "version"), _text(item, "address"), str(number or ""), tagged),
        )
        trouble = {"live": Trouble.NONE, "late": Trouble.OPEN}.get(state, Trouble.BAD)
        order: Value = float(age) if isinstance(age, int) else None
        yield PaneRow(key, cells, (*cells[:3], order, *cells[4:6], float(number), tagged), trouble, (cells[0],))


NODE_HEADINGS = ("NODE", "SUBCLUSTER", "STATE", "LEASE AGE", "VERSION", "ADDRESS", "VIPS", "TAGS")


def _vip_rows(seen: FeedSeen, now_ms: int) -> Iterable[PaneRow]:
    for key, item in seen.topics["vips"].items():
        state, owner, since = _text(item, "state"), _text(item, "owner"), _moment(item, "since")
        held_s = None if since is None else max(0.0, (now_ms - since) / 1000)
        epoch = item.get("epoch")
        cells = (
            *(key, owner or "-", state, str(epoch), "" if held_s is None else duration(held_s)),
            *(_text(item, "before") or "-", _text(item, "reason")),
        )
        fresh = held_s is not None and held_s * 1000 < _RECENT_MS
        trouble = Trouble.BAD if state != "held" else Trouble.OPEN if fresh else Trouble.NONE
        number: Value = float(epoch) if isinstance(epoch, int) else None
        nodes = (owner,) if owner else ()
        yield PaneRow(key, cells, (key, owner, state, number, held_s, *cells[5:]), trouble, nodes)


def _command_rows(seen: FeedSeen, now_ms: int) -> Iterable[PaneRow]:
    for key, item in seen.topics["commands"].items():
        answered, expected = _count(item, "answered"), _count(item, "expected")
        issued = _moment(item, "issued") or 0
        age_s = max(0.0, (now_ms - issued) / 1000)
        cells = (
            *(key, duration(age_s), _text(item, "user"), _text(item, "target")),
            *(_bar(answered, expected), f"{answered}/{expected}", _text(item, "command")),
        )
        trouble = Trouble.OPEN if answered < expected else Trouble.NONE
        done: Value = answered / expected if expected else 1.0
        yield PaneRow(key, cells, (key, age_s, *cells[2:4], done, done, cells[6]), trouble)


def _job_rows(seen: FeedSeen, now_ms: int) -> Iterable[PaneRow]:
    for key, item in seen.topics["jobs"].items():
        state, percent, began = _text(item, "state"), item.get("progress"), _moment(item, "queued")
        age_s = None if began is None else max(0.0, (now_ms - began) / 1000)
        part = float(percent) if isinstance(percent, int | float) else None
        node = _text(item, "node")
        cells = (
            *(node, key, state, "" if part is None else f"{_bar(part, 100)} {part:.0f} %"),
            *("" if age_s is None else duration(age_s), _text(item, "command")),
        )
        trouble = {"running": Trouble.OPEN, "queued": Trouble.OPEN, "ok": Trouble.NONE}.get(state, Trouble.BAD)
        yield PaneRow(key, cells, (*cells[:3], part, age_s, cells[5]), trouble, (node,) if node else ())


def _schedule_rows(seen: FeedSeen, now_ms: int) -> Iterable[PaneRow]:
    for key, item in seen.topics["schedules"].items():
        last = item.get("last")
        state = _text(last, "state") if isinstance(last, dict) else ""
        due = _moment(item, "next")
        left_s = None if due is None else (due - now_ms) / 1000
        said = "" if left_s is None else f"in {duration(left_s)}" if left_s >= 0 else f"due {duration(-left_s)} ago"
        cells = (key, said, _text(item, "when"), state or "-", _text(item, "user"), _text(item, "command"))
        bad = state in ("failed", "lost", "missed")
        trouble = Trouble.BAD if bad else Trouble.OPEN if state == "running" else Trouble.NONE
        yield PaneRow(key, cells, (key, left_s, *cells[2:]), trouble)


def _event_rows(seen: FeedSeen, now_ms: int) -> Iterable[PaneRow]:
    for key, item in seen.topics["audit"].items():
        what, at = _text(item, "what"), _moment(item, "at") or 0
        if not what:
            # A line of an account.
            continue
        took_ms = item.get("took_ms")
        lasted = took(took_ms) if isinstance(took_ms, int) else ""
        cells = (when(at), what, _text(item, "why"), lasted, _text(item, "by"))
        fresh = now_ms - at < _RECENT_MS
        bad = fresh and (" lost" in what or " failed" in what or " are free" in what)
        length: Value = float(took_ms) if isinstance(took_ms, int) else None
        yield PaneRow(key, cells, (-float(at), what, cells[2], length, cells[4]), Trouble.BAD if bad else Trouble.NONE)


PANES = (
    Pane(
        *("1", "Nodes", ("cluster", "members")),
        ("SUBCLUSTER", "LIVE", "LATE", "LOST", "AGES", "VERSIONS"),
        subcluster_rows,
    ),
    Pane("2", "VIPs", ("vips",), ("ADDRESS", "OWNER", "STATE", "EPOCH", "FOR", "BEFORE", "REASON"), _vip_rows),
    Pane(
        *("3", "Commands", ("commands",)),
        ("ID", "AGE", "BY", "TARGET", "PROGRESS", "ANSWERED", "COMMAND"),
        _command_rows,
    ),
    Pane("4", "Jobs", ("jobs",), ("NODE", "JOB", "STATE", "PROGRESS", "AGE", "COMMAND"), _job_rows),
    Pane("5", "Schedules", ("schedules",), ("ID", "NEXT", "WHEN", "LAST", "BY", "COMMAND"), _schedule_rows),
    Pane("6", "Events", ("audit",), ("WHEN", "WHAT", "WHY", "TOOK", "BY"), _event_rows),
)
"""The panes, the most important one first."""


def in_order(rows: Iterable[PaneRow], column: int | None) -> list[PaneRow]:
    """The rows by trouble and then by their first cell, or by one column."""
    if column is None:
        return sorted(rows, key=lambda row: (row.trouble, _key(row.values[0])))
    return sorted(rows, key=lambda row: _key(row.values[column]))


def fitting(rows: Iterable[PaneRow], words: str) -> list[PaneRow]:
    """The rows that hold every one of the `words`, and none of those after a `!`. Case does not count."""
    wanted = [word.lower() for word in words.split()]
    if not wanted:
        return list(rows)
    return [row for row in rows if all(_fits(row, word) for word in wanted)]


def _fits(row: PaneRow, word: str) -> bool:
    said = " ".join(row.cells).lower()
    return word[1:] not in said or word == "!" if word.startswith("!") else word in said


def _key(value: Value) -> tuple[int, float, tuple[tuple[int, int, str], ...]]:
    if value is None:
        return 2, 0.0, ()
    return (1, 0.0, natural(value)) if isinstance(value, str) else (0, value, ())


def _sparkline(counts: object) -> str:
    """A bar for each part of a lease: how many leases have that age."""
    numbers = [number for number in counts if isinstance(number, int)] if isinstance(counts, list) else []
    most = max(numbers, default=0)
    if not most:
        return ""
    return "".join(_BARS[0 if not number else max(1, round(number / most * (len(_BARS) - 1)))] for number in numbers)


def _bar(part: float, whole: float) -> str:
    """A bar that is full once `part` is the `whole`."""
    share = min(1.0, max(0.0, part / whole)) if whole else 1.0
    full = int(share * _PROGRESS_CELLS)
    return "█" * full + "·" * (_PROGRESS_CELLS - full)


def _text(item: Mapping[str, object], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _count(item: Mapping[str, object], name: str) -> int:
    value = item.get(name)
    return value if isinstance(value, int) else 0


def moment(written: object) -> int | None:
    """A time of the feed, in ms; None if that is no time."""
    try:
        return round(datetime.fromisoformat(written).timestamp() * 1000) if isinstance(written, str) else None
    except ValueError:
        return None


def _moment(item: Item, name: str) -> int | None:
    return moment(item.get(name))
