"""Draws what is shown as lines of styled text. Pure."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from prompt_toolkit.utils import get_cwidth

from cli.top.layout import COLUMNS_MIN, FOOTER, HEADER, LINES_MIN, Box, boxes
from cli.top.rows import LATE, PANES, Pane, PaneRow, Trouble, moment
from cli.top.seen import FeedSeen
from cli.top.state import TopState
from eccmgr.commands.standing import duration
from eccmgr.text.counting import counted
from eccmgr.text.unseen import unseen_marked

Fragment = tuple[str, str]
DrawnLine = list[Fragment]
RowsOf = Callable[[Pane], Sequence[PaneRow]]

_NARROWEST = 6
_GAP = 2
_MARK = 2
_MINUTE_MS = 60_000
_STALE_S = 5.0
_STYLES = {Trouble.BAD: "class:bad", Trouble.OPEN: "class:open", Trouble.NONE: ""}
_KEYS = ("? help", "/ filter", "1-6 pane", "Enter open", "s sort", "p pause", "w late", "y copy", "q quit")
_HELP = (
    ("1 … 6", "choose a pane; the same digit again gives it the whole screen, or takes that back"),
    ("Tab", "choose the next pane"),
    ("Up Down PgUp PgDn Home End", "select a row"),
    ("Enter", "open the row: a subcluster shows its nodes, anything else all that is known of it"),
    ("Esc", "back: close what was opened, then the filter, then the nodes of a subcluster"),
    ("/", "show only rows that hold each word; a word after ! must not be there; Enter keeps it, Esc does not"),
    ("s", "sort by the next column; at first, and after the last one, what is in trouble comes first"),
    ("w", "who is late or lost"),
    ("p", "pause: nothing changes on the screen until p is typed again"),
    ("y", "copy the names of the nodes that the pane shows, folded, to the terminal's clipboard"),
    ("q", "quit"),
)


@dataclass(frozen=True)
class Circumstances:
    """What the drawing needs beside the rows: the size of the screen, the time, and the state of the connection.

    `now_s` is on the clock of `FeedSeen.heard_s`. `cut_off` says why nothing comes; "" while all is well.
    """

    columns: int
    lines: int
    now_ms: int
    now_s: float
    cut_off: str = ""


def frame(seen: FeedSeen, state: TopState, rows_of: RowsOf, at: Circumstances) -> list[DrawnLine]:
    """The whole screen."""
    if at.columns < COLUMNS_MIN or at.lines < LINES_MIN:
        said = f"This terminal is too small: {COLUMNS_MIN} columns and {LINES_MIN} lines are needed"
        return [[("", fitted(said, at.columns))]][: at.lines]
    height = at.lines - HEADER - FOOTER
    if state.help:
        body = _help(at.columns, height)
    elif state.detail:
        body = _detail(seen, state, at.columns, height)
    else:
        body = _panes(seen, state, rows_of, at)
    return [*_header(seen, at, paused=state.paused), *body, _footer(state, at.columns)]


def fitted(text: str, width: int) -> str:
    """`text` in exactly so many columns, cut with an ellipsis or filled with blanks. Unseen characters are marked."""
    text = unseen_marked(text)
    wide = get_cwidth(text)
    if wide <= width:
        return text + " " * (width - wide)
    kept, used = "", 0
    for character in text:
        if used + get_cwidth(character) > width - 1:
            break
        kept += character
        used += get_cwidth(character)
    return kept + "…" + " " * (width - 1 - used) if width else ""


def _header(seen: FeedSeen, at: Circumstances, *, paused: bool) -> list[DrawnLine]:
    cluster = seen.cluster
    if not cluster:
        first, second = "Nothing has been heard yet", ""
    else:
        first, second = _about_cluster(seen, at.now_ms), _about_redis(seen, at.now_ms)
    stale = seen.heard_s is not None and at.now_s - seen.heard_s > _STALE_S
    clock = time.strftime("%H:%M:%S", time.localtime(at.now_ms / 1000))
    right, style = clock, "class:title"
    if paused:
        right, style = f"PAUSED  {clock}", "class:open"
    if at.cut_off or stale:
        ago = "" if seen.heard_s is None else f", as of {duration(at.now_s - seen.heard_s)} ago"
        right, style = f"CUT OFF{ago}  {clock}", "class:bad"
    left = at.columns - len(right) - 1
    lines: list[DrawnLine] = [[("class:title", fitted(first, left) + " "), (style, right)]]
    lines.append([("class:bad" if at.cut_off else "", fitted(at.cut_off or second, at.columns))])
    return lines


def _about_cluster(seen: FeedSeen, now_ms: int) -> str:
    cluster = seen.cluster
    numbers = dict.fromkeys(("live", "late", "absent"), 0)
    for item in seen.subclusters:
        for state in numbers:
            number = item.get(state)
            numbers[state] += number if isinstance(number, int) else 0
    since = moment(cluster.get("view_since"))
    lasted = "" if since is None else f" for {duration(max(0, now_ms - since) / 1000)}"
    nodes = f"{numbers['live']:,} live, {numbers['late']:,} late, {numbers['absent']:,} lost"
    leader = cluster.get("leader") or "none"
    return f"{cluster.get('cluster')}  {nodes}  leader {leader}  view {cluster.get('view')}{lasted}"


def _about_redis(seen: FeedSeen, now_ms: int) -> str:
    cluster = seen.cluster
    issued = [moment(item.get("issued")) for item in seen.topics["commands"].values()]
    rate = sum(1 for issued_ms in issued if issued_ms is not None and now_ms - issued_ms < _MINUTE_MS)
    clock = cluster.get("lease_clock_ms")
    ticks = f"  lease clock {clock / 1000:.1f} s" if isinstance(clock, int) else ""
    redis = f"Redis {cluster.get('redis')}, {cluster.get('round_trip_ms')} ms{ticks}"
    return f"{redis}  {counted(rate, 'command')} a minute  manager {cluster.get('manager')}"


def _footer(state: TopState, columns: int) -> DrawnLine:
    if state.typing is not None:
        return [("class:status", fitted(f"/{state.typing}▏  Enter keeps it, Esc does not", columns))]
    keys = ("  " if columns > len("  ".join(_KEYS)) else " ").join(_KEYS)
    return [("class:status", fitted(state.said or keys, columns))]


def _panes(seen: FeedSeen, state: TopState, rows_of: RowsOf, at: Circumstances) -> list[DrawnLine]:
    wants = {pane.digit: len(rows_of(pane)) + 2 for pane in PANES}
    lines: list[DrawnLine] = [[] for _ in range(at.lines - HEADER - FOOTER)]
    placed = boxes(at.columns, at.lines, wants, state.chosen, alone=state.alone)
    for box in sorted(placed, key=lambda box: box.column):
        for number, line in enumerate(_pane(seen, state, rows_of(box.pane), box)):
            there = lines[box.line - HEADER + number]
            filled = sum(get_cwidth(text) for _, text in there)
            lines[box.line - HEADER + number] = [*there, ("", " " * (box.column - filled)), *line]
    return lines


def _pane(seen: FeedSeen, state: TopState, rows: Sequence[PaneRow], box: Box) -> list[DrawnLine]:
    pane, is_chosen = box.pane, box.pane is state.chosen
    height = box.height - 2
    selected = state.index(pane, rows) if is_chosen else 0
    first = max(0, min(selected - height // 2, len(rows) - height))
    visible = rows[first : first + height]
    headings = state.headings(pane)
    # A column without any text leaves its room to the others.
    kept = [at for at in range(len(headings)) if not visible or any(row.cells[at] for row in visible)]
    table = [[cells[at] for at in kept] for cells in (headings, *(row.cells for row in visible))]
    widths = _widths(table, box.width - _MARK)
    title = _title(seen, state, pane, rows, first, len(visible))
    lines: list[DrawnLine] = [[("class:chosen" if is_chosen else "class:title", _ruled(title, box.width))]]
    lines.append([("class:head", fitted(" " * _MARK + _joined(table[0], widths), box.width))])
    for number, (row, cells) in enumerate(zip(visible, table[1:], strict=True), first):
        is_selected = is_chosen and number == selected
        mark, style = ("> ", "class:selected ") if is_selected else ("  ", "")
        lines.append([(style + _STYLES[row.trouble], fitted(mark + _joined(cells, widths), box.width))])
    lines += [[("", " " * box.width)] for _ in range(box.height - len(lines))]
    return lines


def _title(seen: FeedSeen, state: TopState, pane: Pane, rows: Sequence[PaneRow], first: int, visible: int) -> str:
    said = pane.title
    if pane is PANES[0] and state.inside:
        said = "Nodes that are late or lost" if state.inside == LATE else f"Nodes of {state.inside}"
    column = state.order(pane)
    parts = [f"{pane.digit} {said}"]
    if not seen.changes[pane.topics[-1]]:
        parts.append("nothing heard yet")
    elif not rows:
        parts.append("none")
    else:
        shown = f"{first + 1}-{first + visible} of {len(rows):,}" if visible < len(rows) else f"{len(rows):,}"
        parts.append(shown)
    if column is not None:
        parts.append(f"by {state.headings(pane)[column].lower()}")
    if words := state.filter(pane):
        parts.append(f"only {words}")
    return "  ".join(parts)


def _ruled(title: str, width: int) -> str:
    line = f"── {unseen_marked(title)} "
    return fitted(line + "─" * max(0, width - get_cwidth(line)), width)


def _widths(table: Sequence[Sequence[str]], room: int) -> list[int]:
    """The width of each column; if there is not enough room, the widest columns get less."""
    widths = [max(get_cwidth(row[column]) for row in table) for column in range(len(table[0]))]
    over = sum(widths) + _GAP * (len(widths) - 1) - room
    while over > 0 and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
        over -= 1
    return widths


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * _GAP).join(fitted(cell, width) for cell, width in zip(cells, widths, strict=True))


def _help(columns: int, height: int) -> list[DrawnLine]:
    wide = max(len(key) for key, _ in _HELP)
    lines: list[DrawnLine] = [[("class:chosen", _ruled("Keys", columns))]]
    lines += [[("", fitted(f"  {key:<{wide}}  {what}", columns))] for key, what in _HELP]
    lines.append([("", fitted("", columns))])
    lines.append([("", fitted("  Nothing here changes anything in the cluster.", columns))])
    return _filled(lines, columns, height)


def _detail(seen: FeedSeen, state: TopState, columns: int, height: int) -> list[DrawnLine]:
    """All fields of the selected item."""
    topic = "members" if state.chosen is PANES[0] else state.chosen.topics[-1]
    item = seen.topics[topic].get(state.detail, seen.topics[topic].get(state.detail.lower(), {}))
    lines: list[DrawnLine] = [[("class:chosen", _ruled(state.detail, columns))]]
    fields = _plain(item) or {"": "it is no longer there"}
    wide = max(map(len, fields))
    lines += [[("", fitted(f"  {name:<{wide}}  {text}", columns))] for name, text in fields.items()]
    return _filled(lines, columns, height)


def _plain(item: Mapping[str, object]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in item.items():
        if isinstance(value, dict):
            fields |= {f"{name}.{inner}": text for inner, text in _plain(value).items()}
        elif isinstance(value, list):
            fields[name] = ", ".join(map(str, value)) or "-"
        else:
            fields[name] = "-" if value is None or value == "" else str(value)
    return fields


def _filled(lines: list[DrawnLine], columns: int, height: int) -> list[DrawnLine]:
    blank: DrawnLine = [("", " " * columns)]
    return [*lines[:height], *[blank] * (height - len(lines))]
