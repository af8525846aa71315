"""The region below the scrolling answers: at most ten lines that show a gather at one moment. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from cli.console.glance import NOT_SENT, SILENT, Glance, OpenPart
from cli.console.groups import Group
from cli.console.spans import Line, Look, Span, columns, joined, length, padded
from eccmgr.cluster.outcomes import State
from eccmgr.text.counting import counted

LINES_MAX = 10
_BAR_MIN, _BAR_MAX = 7, 40
_OPEN_LINES = 2
_COUNT, _STATE = 7, 8
_BATCH_AT = 90
_TEXT_MIN = 16
_ORDER = (
    *(State.OK, State.FAILED, State.REFUSED, State.RUNNING, State.PENDING, State.LOST, State.MISSED, State.ABSENT),
    *(State.SKIPPED, State.ABORTED, NOT_SENT),
)
_OPEN: tuple[str, ...] = (State.RUNNING, State.PENDING, NOT_SENT, SILENT)
_GAP = Span("   ")
_LET_GO, _ABORT = "Ctrl-C let it run on", "Ctrl-C twice abort it"


def region(glance: Glance, width: int, height: int, *, grouping: bool, keys: bool, aborts: bool = False) -> list[Line]:
    """The lines of the region, at most `height` and never more than ten, for `width` columns.

    With `grouping` it shows the groups of answers, else the answers scroll by above it. `keys`: whether the console
    hears keys; `aborts`: whether a second Ctrl-C aborts the command.
    """
    height = min(height, LINES_MAX)
    top = _top(glance, width)
    bottom = [*_open_lines(glance.open, width), (Span(_hint(grouping=grouping, keys=keys, aborts=aborts), Look.DIM),)]
    places = max(0, height - len(top) - len(bottom))
    groups = list(_group_lines(glance.groups, width, places)) if grouping else []
    return [*top, *groups, *bottom][:height]


def _top(glance: Glance, width: int) -> list[Line]:
    """The line with the bar, and the counts. The batch is behind the counts, or else where the bar is."""
    states = [(Span(f"{glance.counts[state]} {state}", look_of(state)),) for state in _ORDER if state in glance.counts]
    counts = joined(states, Span("  "))
    batch = "" if glance.batch is None else f"batch {glance.batch[0]} of {glance.batch[1]}"
    room = min(width, _BATCH_AT) - length(counts) - len(batch)
    if room >= len("  "):
        counts = (*counts, Span(" " * room), Span(batch))
        batch = ""
    return [_first(glance, width, batch), counts]


def _first(glance: Glance, width: int, batch: str) -> Line:
    until = "" if glance.at_most_s is None else f", at most {glance.at_most_s:.0f} s"
    told = f"{glance.answered} of {glance.expected} answered  {glance.elapsed_s:.1f} s{until}"
    told += f"  {batch}" if batch else ""
    room = min(_BAR_MAX, width - len(glance.id) - len(told) - 4)
    bar = (*_bar(glance, room), Span("  ")) if room >= _BAR_MIN else ()
    return (Span(glance.id, Look.BOLD), Span("  "), *bar, Span(told))


def _bar(glance: Glance, cells: int) -> Iterator[Span]:
    """A part for each kind of state, in proportion; a kind that has nodes has a cell at least."""
    counts = dict(glance.counts)
    kinds = {
        "█": (counts.pop(State.OK, 0), Look.PLAIN),
        "▓": (counts.pop(State.RUNNING, 0), Look.YELLOW),
        "░": (counts.pop(State.PENDING, 0), Look.YELLOW),
        "·": (counts.pop(NOT_SENT, 0), Look.DIM),
    }
    kinds = {"█": kinds.pop("█"), "×": (sum(counts.values()), Look.RED), **kinds}
    sizes = shares([number for number, _ in kinds.values()], cells)
    for (sign, (_, look)), size in zip(kinds.items(), sizes, strict=True):
        if size:
            yield Span(sign * size, look)


def shares(numbers: Sequence[int], cells: int) -> list[int]:
    """`cells` shared in proportion to `numbers`; each number that is not 0 gets one at least, if there are so many."""
    total = sum(numbers)
    if not total:
        return [0] * len(numbers)
    left = cells - sum(map(bool, numbers))
    sizes = [bool(number) + number * left // total for number in numbers]
    # What rounding leaves is the largest one's.
    sizes[numbers.index(max(numbers))] += cells - sum(sizes)
    return sizes


def look_of(state: str) -> Look:
    """The look of a state: open ones are yellow, those that went wrong red."""
    if state == State.OK:
        return Look.DIM
    return Look.YELLOW if state in _OPEN else Look.RED


def _group_lines(groups: Sequence[Group], width: int, places: int) -> Iterator[Line]:
    if not places or not groups:
        return
    shown = in_view(groups, places)
    texts = [_one_line(group) for group in shown]
    room = max(0, width - _COUNT - _STATE - len(_GAP.text) - 4)
    # The text has what it needs, up to two thirds; the names have the rest.
    text_width = min(max(map(columns, texts), default=0), max(_TEXT_MIN, room * 2 // 3))
    for group, text in zip(shown, texts, strict=True):
        look = look_of(group.state)
        yield (
            Span(f"{len(group):>{_COUNT}} ", look),
            Span(f"{group.state:<{_STATE}} ", look),
            Span(padded(text, text_width), Look.DIM if group.state is State.OK else Look.PLAIN),
            _GAP,
            Span(group.folded),
        )
    if left := [group for group in groups if group not in shown]:
        yield (Span(f"{'':>{_COUNT}} and {_rest(left)}", Look.DIM),)


def in_view(groups: Sequence[Group], places: int) -> list[Group]:
    """Those of `groups` that have a place, in their order: the largest that is ok, those that are not ok, and the other
    ones. If not all have a place, the last one is left for a line about the rest."""
    if len(groups) <= places:
        return list(groups)
    places -= 1
    fine = [group for group in groups if group.state is State.OK]
    wrong = [group for group in groups if group.state is not State.OK]
    first = fine[: 1 if places > 1 or not wrong else 0]
    chosen = [*first, *wrong, *fine[len(first) :]][:places]
    return [group for group in groups if group in chosen]


def _rest(groups: Iterable[Group]) -> str:
    """`12 more groups: 40 ok, 3 failed`."""
    listed = list(groups)
    counts: dict[State, int] = {}
    for group in listed:
        counts[group.state] = counts.get(group.state, 0) + len(group)
    nodes = ", ".join(f"{counts[state]} {state}" for state in State if state in counts)
    return f"{counted(len(listed), 'more group')}: {nodes}"


def _one_line(group: Group) -> str:
    if group.state not in (State.OK, State.FAILED, State.REFUSED):
        return ""
    lines = group.text.strip("\n").split("\n")
    more = f" (and {counted(len(lines) - 1, 'line')} more)" if len(lines) > 1 else ""
    return lines[0] + more if lines[0] else "(no output)"


def _open_lines(parts: Sequence[OpenPart], width: int) -> list[Line]:
    """The nodes that run the command, and the silent ones, in few lines."""
    shown = [_open(part, width) for part in parts if part.state in (State.RUNNING, SILENT)]
    lines: list[list[Line]] = []
    for number, part in enumerate(shown):
        if lines and length(joined([*lines[-1], part], _GAP)) <= width:
            lines[-1].append(part)
        elif len(lines) < _OPEN_LINES:
            lines.append([part])
        else:
            lines[-1].append((Span(f"and {len(shown) - number} more", Look.DIM),))
            break
    return [joined(line, _GAP) for line in lines]


def _open(part: OpenPart, width: int) -> Line:
    since = "" if part.seconds is None else f" {_seconds(part)}"
    job = f" job {part.job}" if part.job else ""
    percent = "" if part.percent is None else f" {part.percent:g} %"
    settles = "" if part.settles_in_s is None else f", lost in {part.settles_in_s:.1f} s unless heard of"
    said = f"{job}{percent}{since}{settles}"
    nodes = padded(part.nodes, min(columns(part.nodes), max(_TEXT_MIN, width - len(part.state) - len(said) - 14)))
    return (Span(part.state, look_of(part.state)), Span(f"  {nodes}{said}"))


def _seconds(part: OpenPart) -> str:
    seconds = part.seconds or 0.0
    return f"{seconds:.0f} s" if part.state == State.RUNNING else f"{seconds:.1f} s"


def _hint(*, grouping: bool, keys: bool, aborts: bool) -> str:
    pressed = ["Enter who is left", f"f groups{' off' if grouping else ''}"] if keys else []
    return " · ".join([*pressed, _LET_GO, *([_ABORT] if aborts else [])])
