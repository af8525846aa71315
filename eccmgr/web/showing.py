"""What the pages show of an answer's facts: filtered, sorted, grouped, folded. Pure."""

import difflib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from markupsafe import Markup

from eccmgr.cluster import names
from eccmgr.commands.answer import Facts
from eccmgr.commands.vips import belief_text as belief_text
from eccmgr.commands.vips import differs as differs

PAGE_ROWS = 200
DIFFERING_MAX = 20
_LINES_MAX = 500
_TROUBLE = ("absent", "lost", "late", "unknown")
_GOOD = ("ok", "live", "owned", "done", "safe")
_SETTLING_S = 3.0
_OPEN = ("running", "pending", "waiting", "queued", "transient")


class Slice(NamedTuple):
    """The rows of one page, of those that a filter lets through."""

    rows: Sequence[Facts]
    number: int
    pages: int
    total: int


def page_of(rows: Sequence[Facts], wish: Mapping[str, str]) -> Slice:
    """The rows that `sub`, `state`, `version` and `q` let through, and of these the page `page`."""
    kept = [row for row in rows if _fits(row, wish)]
    pages = max(1, -(-len(kept) // PAGE_ROWS))
    asked = wish.get("page", "")
    number = min(pages, max(1, int(asked))) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    return Slice(kept[(number - 1) * PAGE_ROWS : number * PAGE_ROWS], number, pages, len(kept))


def _fits(row: Facts, wish: Mapping[str, str]) -> bool:
    for name, field in (("sub", "subcluster"), ("state", "state"), ("user", "user"), ("what", "subject")):
        if (asked := wish.get(name)) and str(row.get(field) or "").lower() != asked.lower():
            return False
    if (begins := wish.get("from", "").strip()) and str(row.get("at") or "") < begins.replace(" ", "T"):
        return False
    if (version := wish.get("version")) and not str(row.get("version") or "").startswith(version):
        return False
    if (node := wish.get("node")) and node.lower() not in str(row.get("what") or "").lower():
        return False
    if not (text := wish.get("q", "").strip()):
        return True
    negated = text.startswith("!")
    return (text.removeprefix("!").lower() in _searched(row)) is not negated


def _searched(row: Facts) -> str:
    return " ".join(str(value) for value in row.values() if value is not None).lower()


def query(wish: Mapping[str, str], **changes: object) -> str:
    """The query string of this page with `changes`."""
    known = {**wish, **{name: str(value) for name, value in changes.items()}}
    kept = {name: value for name, value in known.items() if value and name in QUERIES}
    return f"?{urlencode(kept)}" if kept else "?"


QUERIES = ("sub", "state", "version", "q", "page", "user", "what", "node", "from", "view")


def values(rows: Sequence[Facts], field: str) -> list[str]:
    """The values of a field, in natural order; for a filter."""
    return sorted({str(row[field]) for row in rows if row.get(field)}, key=names.natural)[:PAGE_ROWS]


COMMAND_STATES = ("complete", "incomplete")


def with_states(commands: Sequence[Facts]) -> list[Facts]:
    """The commands of `history`, the newest first, each with a state that a filter may ask for."""
    return [
        {**command, "state": COMMAND_STATES[command["answered"] < command["expected"]]}
        for command in reversed(commands)
    ]


class Tile(NamedTuple):
    """A subcluster of the overview: its nodes by state, and those in trouble."""

    name: str
    states: Mapping[str, int]
    trouble: str
    rows: Sequence[Facts]


def tiles(members: Sequence[Facts]) -> list[Tile]:
    """The subclusters, those with trouble first."""
    by_name: dict[str, list[Facts]] = {}
    for member in members:
        if member.get("kind", "node") == "node":
            by_name.setdefault(member["subcluster"] or "", []).append(member)
    made = [
        Tile(name, Counter(str(row["state"]) for row in rows), troubled(rows), rows) for name, rows in by_name.items()
    ]
    return sorted(made, key=lambda tile: (not tile.trouble, names.natural(tile.name)))


def troubled(members: Sequence[Facts]) -> str:
    """The folded names of the members that are not well."""
    bad = [str(row["name"]) for row in members if row["state"] in _TROUBLE or row.get("unknown")]
    return names.fold(bad, 20)


def vips_in_trouble(vips: Sequence[Facts]) -> list[Facts]:
    """The addresses that no node carries, or on which nodes disagree."""
    return [vip for vip in vips if vip["owner"] is None or vip["agreement"] not in (None, "safe")]


class BelievingNodes(NamedTuple):
    """The participants of an address, those that differ first; how many differ, and the folded names of these and of
    those whose belief is not known."""

    rows: Sequence[Facts]
    differing: int
    names: str
    unknown: str


def believing(participants: Sequence[Facts]) -> BelievingNodes:
    """The participants by what they believe."""
    rows = sorted(participants, key=lambda row: not differs(row))
    differing = [str(row["node"]) for row in participants if differs(row)]
    unknown = [str(row["node"]) for row in participants if row["belief"] in ("unsaid", "unread")]
    return BelievingNodes(rows, len(differing), names.fold(differing, 20), names.fold(unknown, 20))


def outages(events: Sequence[Facts]) -> dict[str, float]:
    """For the time of each change of an address, the seconds for which nobody had held it; those of `why`."""
    return {str(event["at"]): event["took_ms"] / 1000 for event in events if event["took_ms"] is not None}


def beliefs_settled(vip: Facts) -> bool:
    """Whether every live participant of an address believes what Redis has on record."""
    return all(row["belief"] == "same" or row["absent"] for row in vip.get("participants") or ())


def difference(vip: Facts) -> str:
    """The class of a belief that differs. Nodes state theirs once a second: after a change some differ for a while."""
    held_s = vip["held_s"]
    return "open" if vip["ownership"] == "moving" or (held_s is not None and held_s < _SETTLING_S) else "bad"


class AnswerGroup(NamedTuple):
    """The nodes that gave one answer."""

    state: str
    text: str
    nodes: str
    number: int


def groups(nodes: Sequence[Facts]) -> list[AnswerGroup]:
    """The answers of a command, those that are not ok first, then the largest first."""
    alike: dict[tuple[str, str], list[str]] = {}
    for node in nodes:
        alike.setdefault((node["state"], node["text"] or ""), []).append(node["node"])
    made = [AnswerGroup(*key, names.fold(found, 60), len(found)) for key, found in alike.items()]
    return sorted(made, key=lambda group: (group.state == "ok", -group.number))


class DifferingGroup(NamedTuple):
    """The nodes whose answer is not the reference, and where it differs: the lines of a unified difference."""

    state: str
    nodes: str
    number: int
    lines: Sequence[str]


def differences(nodes: Sequence[Facts]) -> tuple[AnswerGroup | None, Sequence[DifferingGroup]]:
    """The reference, which is the largest group of answers that are ok, and the others against it; None without one."""
    made = groups([node for node in nodes if node["state"] in ("ok", "failed", "refused")])
    reference = next((group for group in made if group.state == "ok"), None)
    if reference is None:
        return None, ()
    return reference, [
        DifferingGroup(group.state, group.nodes, group.number, _difference(reference.text, group.text))
        for group in made[: DIFFERING_MAX + 1]
        if group is not reference
    ][:DIFFERING_MAX]


def _difference(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines()[:_LINES_MAX], after.splitlines()[:_LINES_MAX], lineterm="")
    return list(itertools.islice(lines, 2, _LINES_MAX))


def counts(nodes: Sequence[Facts]) -> list[tuple[str, int]]:
    """The states of a command's nodes, each with its number."""
    return Counter(str(node["state"]) for node in nodes).most_common()


def is_open(nodes: Sequence[Facts]) -> bool:
    """Whether answers to a command may still come."""
    return any(str(node["state"]) in (*_OPEN, "silent") for node in nodes)


def kind(state: object) -> str:
    """The class of a state, for its colour: good, open or bad."""
    first = str(state).partition(",")[0]
    return "good" if first in _GOOD else "open" if first in _OPEN else "bad"


def setting(value: object) -> str:
    """The value of an option, in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {setting(item)}" for name, item in value.items())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ", ".join(map(setting, value)) if isinstance(value, list | tuple) else str(value)


def clock(moment: object) -> str:
    """An ISO time as `2026-11-28 18:29:17`; empty without one."""
    return str(moment)[:19].replace("T", " ") if moment else ""


def stamp(at: object) -> Markup:
    """The same with the date apart, which a narrow page shows above the time."""
    date, _, time = clock(at).partition(" ")
    return Markup('<span class="date">{}</span> {}').format(date, time) if date else Markup("")


def moment(at: object) -> str:
    """An ISO time as `2026-11-28 18:29:17.123`; empty without one."""
    return str(at)[:23].replace("T", " ") if at else ""


def seconds(value: Any) -> str:
    """A time in seconds as a reader says it: `0.12 s`, `3 min`, `2.5 h`."""
    if value is None:
        return ""
    if value < 100:
        return f"{value:.3g} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.1f} h"
