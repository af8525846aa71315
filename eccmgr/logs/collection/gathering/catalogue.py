"""What there is to collect, and who collects it, as Redis has it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from eccmgr.logs.collection.gathering.sharing import LogShare
from eccmgr.logs.collection.gathering.stand import Unit
from eccmgr.logs.collection.news import LogNews, Wishes
from eccmgr.logs.collection.safe_names import safe_name
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.wire import Argument
from eccmgr.text.naming import is_plain_name

_NODES_MAX = 20_000
_AT_ONCE = 100
_TTL_MS = 30 * 24 * 3600 * 1000


class PipeState(NamedTuple):
    """The state of a pipe, as far as it concerns one subscriber."""

    tail: bytes
    sent: int
    has: int
    lost: int
    holder: str
    """The private name of the manager that has the lease; "" if none has."""
    checkpoint: bytes


class LogCatalogue(NamedTuple):
    """The logs of all nodes, the living managers, and who holds what."""

    logs: Mapping[tuple[str, str], LogNews]
    """By node and safe name of the log."""
    managers: Mapping[str, Wishes]
    states: Mapping[Unit, PipeState]

    def units(self, share: LogShare) -> list[Unit]:
        """The logs of a share."""
        return [unit for unit in self.states if (unit.subscriber, unit.node) == share]

    def holders(self) -> dict[LogShare, str | None]:
        """The manager that holds each share, None if no living one does."""
        held: dict[LogShare, str | None] = {}
        for unit, state in self.states.items():
            share = LogShare(unit.subscriber, unit.node)
            holder = state.holder if state.holder in self.managers else None
            held[share] = held.get(share) or holder
        return held


async def say_wishes(link: Link, keys: Keys, private: str, wishes: Wishes) -> None:
    """Tell the other managers what this one collects. Raises EccmgrError."""
    await link.pipeline(("HSET", keys.log_gatherers, private, wishes.dump()), ("PEXPIRE", keys.log_gatherers, _TTL_MS))


async def read_catalogue(link: Link, keys: Keys, subscribers: Iterable[str] | None = None) -> LogCatalogue:
    """Read everything; with `subscribers` only their logs have a state. Raises EccmgrError."""
    named = replies.texts(await link.call("ZRANGE", keys.logs, 0, _NODES_MAX))
    nodes = [node for raw in named if is_plain_name(node := raw.decode(errors="replace"))]
    news = await _pipelined(link, [("HGETALL", keys.logs_of(node)) for node in nodes])
    logs: dict[tuple[str, str], LogNews] = {}
    for node, fields in zip(nodes, news, strict=True):
        for raw in replies.fields(fields).values():
            if (read := LogNews.parse(raw)) is not None and all(map(is_plain_name, read.subscribers)):
                logs[node, safe_name(read.name)] = read
    wanted = None if subscribers is None else set(subscribers)
    units = [
        Unit(subscriber, node, log)
        for (node, log), read in logs.items()
        for subscriber in read.subscribers
        if wanted is None or subscriber in wanted
    ]
    return LogCatalogue(logs, await _managers(link, keys), await read_states(link, keys, units))


async def _managers(link: Link, keys: Keys) -> dict[str, Wishes]:
    """The managers that collect logs and have a session; the others are dropped."""
    kept = replies.fields(await link.call("HGETALL", keys.log_gatherers))
    said = {name.decode(errors="replace"): raw for name, raw in kept.items()}
    if not said:
        return {}
    alive = replies.scores_of(await link.call("ZMSCORE", keys.sessions, *said), len(said))
    gone = [name for name, score in zip(said, alive, strict=True) if score is None]
    if gone:
        await link.call("HDEL", keys.log_gatherers, *gone)
    read = {name: Wishes.parse(raw) for name, raw in said.items() if name not in gone}
    return {name: wishes for name, wishes in read.items() if wishes is not None}


async def read_states(link: Link, keys: Keys, units: list[Unit]) -> dict[Unit, PipeState]:
    """The states of pipes. Raises EccmgrError."""
    asked: list[tuple[Argument, ...]] = []
    for unit in units:
        fields = ("tail", "sent", f"has:{unit.subscriber}", "lost", f"lease:{unit.subscriber}", f"at:{unit.subscriber}")
        asked.append(("HMGET", keys.log_state(unit.node, unit.log), *fields))
    answers = await _pipelined(link, asked)
    return {unit: _state(answer) for unit, answer in zip(units, answers, strict=True)}


def _state(answer: object) -> PipeState:
    tail, sent, has, lost, lease, checkpoint = (field or b"" for field in replies.values(answer, 6))
    holder = lease.partition(b" ")[0].decode(errors="replace")
    holder = "" if holder == "-" else holder
    return PipeState(tail, _number(sent), _number(has), _number(lost), holder, checkpoint)


def _number(field: bytes) -> int:
    return int(field) if field.isdigit() and len(field) < 16 else 0


async def _pipelined(link: Link, commands: list[tuple[Argument, ...]]) -> list[object]:
    answers: list[object] = []
    for at in range(0, len(commands), _AT_ONCE):
        answers += await link.pipeline(*commands[at : at + _AT_ONCE])
    return answers
