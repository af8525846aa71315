"""The file to which the lines of a log go. Pure."""

from collections.abc import Callable

from eccmgr.logs.collection.gathering.catalogue import LogCatalogue
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.news import LogNews
from eccmgr.logs.collection.options import GatheringOptions
from eccmgr.logs.collection.safe_names import safe_name


def path_of(unit: Unit, how: GatheringOptions, catalogue: LogCatalogue) -> Callable[[int], str]:
    """The path for lines that were written at a time (wall clock, ms)."""
    template, news = how.template_for(unit.node), catalogue.logs.get((unit.node, unit.log))
    name, subcluster = (news.name, news.subcluster) if news is not None else (unit.log, "")

    def path(wall_ms: int) -> str:
        made = template.path(name, subcluster, unit.node, wall_ms) if template is not None else ""
        return f"{made}.{safe_name(unit.subscriber)}" if _is_second(unit, how, news) else made

    return path


def _is_second(unit: Unit, how: GatheringOptions, news: LogNews | None) -> bool:
    """Whether the manager writes the same log for a subscriber before this one too."""
    wanted = how.subscribers_for(unit.node)
    both = [name for name in (news.subscribers if news is not None else ()) if name in wanted]
    return len(both) > 1 and both[0] != unit.subscriber
