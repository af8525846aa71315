"""The table of pages. A page shows the answer to one command, as its caller may see it: its facts in HTML, the same
facts as `.json`, and the console's text as `.txt`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eccmgr.commands.answer import Facts
from eccmgr.text import words
from eccmgr.web import showing

Wish = Mapping[str, str]
"""The parameters of a request: those of its path and those of its query."""


@dataclass(frozen=True)
class SitePage:
    """A page: its path, its title, the template that draws it, and the commands whose answers it shows, by name.

    `topics` are the topics of the feed that change it. What changes without them (ages, the process itself) is shown a
    few seconds late, or within about a second as long as the answers are not `settled`.
    """

    path: str
    title: str
    template: str
    commands: Mapping[str, Callable[[Wish], str]]
    topics: tuple[str, ...] = ()
    listed: bool = True
    settled: Callable[[Mapping[str, Facts]], bool] = lambda _answers: True

    @property
    def main(self) -> str:
        """The name of the command that `.json` and `.txt` show."""
        return next(iter(self.commands))


def _plain(command: str) -> Callable[[Wish], str]:
    return lambda _wish: command


def _of(command: str, name: str) -> Callable[[Wish], str]:
    return lambda wish: f"{command} {words.quote(wish[name])}"


def _members(wish: Wish) -> str:
    return f"members {words.quote('@' + sub)}" if (sub := wish.get("sub", "")) else "members"


PAGES = (
    SitePage(
        "/",
        "Overview",
        "overview.html",
        {
            "info": _plain("info"),
            "members": _plain("members"),
            "vips": _plain("vips"),
            "history": _plain("history 20"),
            "events": _plain("events 20"),
        },
        ("members", "vips", "commands", "audit"),
    ),
    SitePage("/nodes", "Nodes", "nodes.html", {"members": _members}, ("members",)),
    SitePage(
        "/nodes/{name}",
        "Node",
        "node.html",
        {"why": _of("why", "name"), "members": _of("members", "name"), "jobs": _plain("jobs")},
        ("members", "vips", "commands", "jobs", "schedules", "audit"),
        listed=False,
    ),
    SitePage("/vips", "Addresses", "vips.html", {"vips": _plain("vips")}, ("vips", "members")),
    SitePage(
        "/vips/{address}",
        "Address",
        "vip.html",
        {"vips": _of("vips", "address"), "why": _of("why", "address")},
        ("vips", "members", "audit"),
        listed=False,
        settled=lambda answers: showing.beliefs_settled(answers["vips"]),
    ),
    SitePage("/commands", "Commands", "commands.html", {"history": _plain("history 200")}, ("commands",)),
    SitePage(
        "/commands/{id}",
        "Command",
        "command.html",
        {"retrieve": _of("retrieve", "id")},
        ("commands",),
        listed=False,
    ),
    SitePage("/jobs", "Jobs", "jobs.html", {"jobs": _plain("jobs")}, ("jobs",)),
    SitePage(
        "/schedules",
        "Schedules",
        "schedules.html",
        {"list": _plain("sched list"), "history": _plain("sched history 50")},
        ("schedules",),
    ),
    SitePage("/audit", "Events", "events.html", {"events": _plain("events 500")}, ("audit", "commands", "schedules")),
    SitePage("/config", "Configuration", "config.html", {"config": _plain("config showrecurse")}, ("audit",)),
)
