"""`cluster shared list` and `cluster shared show`: the series of the cluster, and what their present windows count."""

from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.commands.answer import Answer
from eccmgr.commands.columns import columns
from eccmgr.commands.rendering import iso_time
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError, UsageError
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.series.counts import address_of, read_counts, tree, tree_text
from eccmgr.text import words
from eccmgr.text.naming import is_plain_name
from eccmgr.text.unseen import visible_line

SERIES_SHOWN = 10_000
_ENTRIES_SHOWN = 10_000
_USAGE = "cluster shared show NAME [from NODE]"
_ABOUT = (
    "The counts since the present window began; as_logger begins a new one after each log_interval.\n"
    "Addresses are shown as a tree of prefixes with their sums, other keys as a table. With `from NODE`,\n"
    f"only what that node has counted. At most the {_ENTRIES_SHOWN} largest counts are shown."
)


class SharedCommands:
    """The commands of one daemon."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        show = Param("NAME [from NODE]", rest=True)
        return (
            Command("cluster shared list", "the audit series of the cluster", self._list, idempotent=True),
            Command(
                "cluster shared show",
                "the counts of an audit series",
                self._show,
                (show,),
                idempotent=True,
                heavy=True,
                about=_ABOUT,
            ),
        )

    async def _list(self, _call: Call) -> Answer:
        found = replies.scores(await self._link.call("ZRANGE", self._keys.series, 0, SERIES_SHOWN - 1, "WITHSCORES"))
        named = sorted((raw.decode(errors="replace"), round(score)) for raw, score in found)
        named = [(name, at_ms) for name, at_ms in named if is_plain_name(name)]
        if not named:
            return Answer("Nothing has been counted lately", facts={"series": []})
        sizes = await self._link.pipeline(*(("ZCARD", self._keys.series_counts(name)) for name, _ in named))
        rows = [
            {"name": name, "entries": replies.count(size), "last": iso_time(min(at_ms, wall_clock_ms()))}
            for (name, at_ms), size in zip(named, sizes, strict=True)
        ]
        table = columns(("SERIES", "ENTRIES", "LAST"), [tuple(map(str, row.values())) for row in rows])
        return Answer(table, facts={"series": rows}, structured=True)

    async def _show(self, call: Call) -> Answer:
        name, node = _asked(call.args[0])
        key = self._keys.series_counts(name)
        is_known, size, raw = await self._link.pipeline(
            ("ZSCORE", self._keys.series, name),
            ("ZCARD", key),
            ("ZREVRANGE", key, 0, _ENTRIES_SHOWN - 1, "WITHSCORES"),
        )
        if is_known is None:
            raise CommandError(f"No audit series '{name[:80]}'; cluster shared list shows them")
        counts = read_counts(replies.scores(raw), node)
        more = max(0, replies.count(size) - _ENTRIES_SHOWN)
        keys = [{"key": count.key, "nodes": dict(count.nodes), "total": count.total} for count in counts]
        facts: dict[str, object] = {"series": name, "from": node, "keys": keys, "more": more}
        if counts and all(address_of(count.key) or count.key == "other" for count in counts):
            lines = tree(counts)
            facts["prefixes"] = [{"prefix": prefix, "depth": depth, "total": total} for depth, prefix, total in lines]
            text = tree_text(counts)
        else:
            text = columns(
                ("KEY", "COUNT", "NODES"),
                [(visible_line(count.key), str(count.total), _nodes(count.nodes)) for count in counts],
            )
        if not counts:
            text = f"{name}: nothing was counted in this window" + (f" on {node}" if node else "")
        return Answer(f"{text}\n… and {more} smaller counts" if more else text, facts=facts, structured=True)


def _nodes(counts: object) -> str:
    assert isinstance(counts, dict)
    return " ".join(f"{node}={count}" for node, count in counts.items())


def _asked(line: str) -> tuple[str, str | None]:
    typed = [word.text for word in words.split(line)]
    if len(typed) == 1:
        return typed[0], None
    if len(typed) == 3 and typed[1].lower() == "from":
        return typed[0], typed[2]
    raise UsageError(f"Usage: {_USAGE}")
