"""The commands `events` and `why`: what has happened, and the story of one thing."""

import re
from collections.abc import Sequence

from eccmgr.commands.answer import Answer
from eccmgr.commands.columns import columns
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import UsageError
from eccmgr.feed.chronicle import TOLD_MAX, Chronicle
from eccmgr.feed.happenings import Happening, facts_of, took, when

_EVENTS = 20
_EVENTS_MAX = 1000
_HEADINGS = ("WHEN", "WHAT", "WHY", "TOOK", "BY")
_WIDEST = 90
_ABOUT_EVENTS = (
    "Changes of members, floating addresses, commands, jobs, schedules and configurations, the newest\n"
    "last: when, what, why, how long it took, and who did it. For an address TOOK is how long nobody\n"
    f"held it, for a node that returned how long it was away. N is how many, {_EVENTS} if not given, at most\n"
    f"{_EVENTS_MAX}. The audit keeps the latest 10,000 entries, with those of the daemons' accounts."
)
_ABOUT_WHY = (
    "NAME is a node, ADDRESS a floating address, ID a command, a job or a schedule. The answer says how\n"
    "it stands, and tells what has happened to it, the newest last: out of the audit, the results of\n"
    f"commands, and the runs of schedules. At most {TOLD_MAX} lines."
)


class EventCommands:
    """The handlers of one manager."""

    def __init__(self, chronicle: Chronicle) -> None:
        self._chronicle = chronicle

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        number, asked = Param("N", optional=True), Param("NAME|ADDRESS|ID", kind="subject")
        return (
            Command(
                *("events", "the latest changes: when, what, why, how long, by whom", self._events, (number,)),
                idempotent=True,
                about=_ABOUT_EVENTS,
                heavy=True,
            ),
            Command(
                *("why", "what has happened to a node, an address or a command", self._why, (asked,)),
                idempotent=True,
                about=_ABOUT_WHY,
                heavy=True,
            ),
        )

    async def _events(self, call: Call) -> Answer:
        number = call.args[0] if call.args else str(_EVENTS)
        if not re.fullmatch("[0-9]{1,4}", number) or not 1 <= int(number) <= _EVENTS_MAX:
            raise UsageError(f"events takes a number from 1 to {_EVENTS_MAX}, not '{number[:80]}'")
        happenings = await self._chronicle.latest(int(number))
        text = table(happenings) if happenings else "Nothing has happened lately"
        return Answer(text, facts={"events": [_facts(happening) for happening in happenings]})

    async def _why(self, call: Call) -> Answer:
        story = await self._chronicle.about(call.args[0])
        text = f"# {story.name}: {story.now}" if story.kind != "command" else story.now
        facts = {
            "kind": story.kind,
            "name": story.name,
            "now": story.now,
            "events": [_facts(happening) for happening in story.happenings],
        }
        return Answer(f"{text}\n{table(story.happenings)}" if story.happenings else text, facts=facts)


def table(happenings: Sequence[Happening], now_s: float | None = None) -> str:
    """The table of `happenings`; a column that would be empty is left out."""
    rows = [
        (when(one.at_ms, now_s), one.what, one.why, "" if one.took_ms is None else took(one.took_ms), one.by)
        for one in happenings
    ]
    shown = [column for column in range(len(_HEADINGS)) if any(row[column] for row in rows)]
    lines = columns(
        [_HEADINGS[column] for column in shown], [[row[column] for column in shown] for row in rows], _WIDEST
    )
    return "\n".join(line.rstrip() for line in lines.splitlines())


def _facts(happening: Happening) -> dict[str, object]:
    return {"at": iso_time(happening.at_ms), **facts_of(happening)}
