"""Charts as SVG, made by the server. Pure; every text in them is escaped."""

import datetime as dt
import html
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from eccmgr.commands.answer import Facts

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 120, 40, 18
_OLD_FROM = 7
NO_OUTAGES: Mapping[str, float] = {}
_LETTER = 8
"""The width of a letter, roughly."""


def answer_curve(nodes: Sequence[Facts]) -> Markup:
    """How many nodes had answered after how many seconds."""
    times = sorted(float(node["seconds"]) for node in nodes if node["state"] in ("ok", "failed", "refused"))
    if not times:
        return Markup("")
    end = times[-1] or 0.001
    steps = [(0.0, 0), *((moment, number) for number, moment in enumerate(times, 1))]
    every = max(1, len(steps) // 500)
    points, level = [], 0
    for moment, number in (*steps[::every], steps[-1]):
        # An answer raises the curve at its moment, and not before.
        points += [(moment, level), (moment, number)]
        level = number
    drawn = " ".join(f"{_x(moment / end):.1f},{_y(number / len(nodes)):.1f}" for moment, number in points)
    line = f'<polyline class="line" points="{drawn}"/>'
    return _chart("Answers over the seconds", line, f"{len(nodes)} nodes", f"{end:.3g} s")


def lease_ages(members: Sequence[Facts], lease_s: float) -> Markup:
    """The ages of leases as a share of the lease, in ten bars for all subclusters together."""
    bins = _shares_of(members, lease_s)
    return _bars("Lease ages as a share of the lease", bins, "0", "whole lease", bad_from=_OLD_FROM)


def lease_strip(members: Sequence[Facts], lease_s: float) -> Markup:
    """The ages of the leases of one subcluster as ten small bars, the oldest to the right."""
    bins = _shares_of(members, lease_s)
    if not (most := max(bins)):
        return Markup("")
    bars = "".join(
        f'<rect class="bar{" bad" if index >= _OLD_FROM else ""}" x="{index * 10}" y="{16 - 16 * number / most:.1f}" '
        f'width="9" height="{16 * number / most:.1f}"/>'
        for index, number in enumerate(bins)
        if number
    )
    title = "<title>Lease ages as a share of the lease</title>"
    return Markup(f'<svg class="chart strip" role="img" viewBox="0 0 100 16">{title}{bars}</svg>')  # noqa: S704


def _shares_of(members: Sequence[Facts], lease_s: float) -> list[int]:
    bins = [0] * 10
    for member in members:
        if member["state"] == "live" and member["lease_age_ms"] is not None:
            bins[min(9, int(member["lease_age_ms"] / (lease_s * 100)))] += 1
    return bins


def per_minute(commands: Sequence[Facts], now: dt.datetime | None = None) -> Markup:
    """The commands of the last hour, minute by minute; the incomplete ones apart."""
    moment = now or dt.datetime.now(dt.UTC)
    all_of, bad = [0] * 60, [0] * 60
    for command in commands:
        minutes = int((moment - dt.datetime.fromisoformat(command["issued"])).total_seconds() // 60)
        if 0 <= minutes < 60:
            all_of[59 - minutes] += 1
            bad[59 - minutes] += command["answered"] < command["expected"]
    return _bars("Commands a minute", all_of, "an hour ago", "now", bad=bad)


def owners(
    changes: Sequence[Facts], outages: Mapping[str, float] = NO_OUTAGES, now: dt.datetime | None = None
) -> Markup:
    """Who held an address over the last 24 hours, or since its first change; a gap is a time without a holder.

    `outages` says for the time of a grant for how many seconds nobody had held the address by then: a holder whose
    session ended has released nothing.
    """
    end = (now or dt.datetime.now(dt.UTC)).timestamp()
    first_s = min((dt.datetime.fromisoformat(change["at"]).timestamp() for change in changes), default=end)
    start = max(end - 86_400, first_s - (end - first_s) * 0.02)
    span = max(end - start, 1.0)
    held: list[tuple[float, float, str]] = []
    owner, since = "", start
    for change in sorted(changes, key=lambda change: str(change["at"])):
        at = dt.datetime.fromisoformat(change["at"]).timestamp()
        if owner:
            held.append((max(since, start), max(at - outages.get(str(change["at"]), 0.0), since, start), owner))
        owner = str(change["node"]) if change["change"] == "granted" else ""
        since = at
    if owner:
        held.append((max(since, start), end, owner))
    bars = "".join(_holding(name, first, last, start, span) for first, last, name in held if last > start)
    begun = dt.datetime.fromtimestamp(start, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return _chart("Who held it", bars, "", "now", begun) if bars else Markup("")


def _holding(name: str, first: float, last: float, start: float, span: float) -> str:
    """A bar for a time for which a node held an address, with its name if there is room."""
    left, width = _x((first - start) / span), max(1.0, (last - first) / span * (_WIDTH - _LEFT))
    since = dt.datetime.fromtimestamp(first, dt.UTC).isoformat(" ", "milliseconds").partition("+")[0]
    said = html.escape(name)
    text = f'<text class="name" x="{left + 4:.1f}" y="54">{said}</text>' if width > _LETTER * len(name) else ""
    title = f"<title>{said} from {since} UTC for {last - first:.3f} s</title>"
    return f'<g>{title}<rect class="held" x="{left:.1f}" y="30" width="{width:.1f}" height="40"/>{text}</g>'


def _bars(
    title: str, numbers: Sequence[int], first: str, last: str, bad: Sequence[int] = (), bad_from: int | None = None
) -> Markup:
    most = max(numbers, default=0)
    if not most:
        return Markup("")
    width = (_WIDTH - _LEFT) / len(numbers)
    drawn = []
    for index, number in enumerate(numbers):
        kind = "bar bad" if bad_from is not None and index >= bad_from else "bar"
        drawn.append(_bar(kind, index, width, number / most))
        if bad:
            drawn.append(_bar("bar bad", index, width, bad[index] / most))
    return _chart(title, "".join(drawn), str(most), last, first)


def _bar(kind: str, index: int, width: float, share: float) -> str:
    top = _y(share)
    return (
        f'<rect class="{kind}" x="{_LEFT + index * width:.1f}" y="{top:.1f}" width="{max(0.5, width - 1):.1f}" '
        f'height="{_y(0) - top:.1f}"/>'
    )


def _chart(title: str, inside: str, top: str, right: str, left: str = "0") -> Markup:
    texts = (
        f'<text x="0" y="12">{html.escape(top)}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{html.escape(left)}</text>'
        f'<text class="end" x="{_WIDTH}" y="{_HEIGHT - 4}">{html.escape(right)}</text>'
    )
    head = f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}"><title>{html.escape(title)}</title>'
    axis = f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{_y(0)}" y2="{_y(0)}"/>'
    return Markup(  # noqa: S704 - every text in it is escaped above
        f"<figure><figcaption>{html.escape(title)}</figcaption>{head}{inside}{axis}{texts}</svg></figure>"
    )


def _x(share: float) -> float:
    return _LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _LEFT)


def _y(share: float) -> float:
    return (_HEIGHT - _BOTTOM) - min(1.0, share) * (_HEIGHT - _BOTTOM - 14)
