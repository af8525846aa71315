"""The jobs of nodes, as each node tells them to everybody who shows jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from eccmgr.cluster.roster import read_hash
from eccmgr.errors import Unreadable
from eccmgr.redis import reading
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_dropped = reading.Dropped("jobs of a node")
_Moment = Annotated[int, msgspec.Meta(ge=0, le=reading.LATEST_MS)]
_Word = Annotated[str, msgspec.Meta(max_length=64)]
JOBS_MAX = 1200
"""The most jobs that a node tells: a node has at most 1,000 unfinished ones, and tells a few that have ended."""
TOLD_MAX = 200
"""The longest command that is told, in characters."""


@dataclass(frozen=True, slots=True)
class ToldJob:
    """A job of a node: its stage as `cluster jobs` names it, and its command without secrets.

    `queued_ms` and `ended_ms` (None while it has not ended) are on the node's wall clock. `percent` is its progress,
    None if it has reported none. `command_id` is the id of the command that it runs, "" for one typed on the node.
    """

    job: _Word
    stage: _Word
    command: Annotated[str, msgspec.Meta(max_length=2 * TOLD_MAX)]
    user: Annotated[str, msgspec.Meta(max_length=512)]
    queued_ms: _Moment
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    ended_ms: _Moment | None = None
    command_id: _Word = ""


_told = msgspec.json.Decoder(Annotated[list[ToldJob], msgspec.Meta(max_length=JOBS_MAX)])


def dump_jobs(jobs: Sequence[ToldJob]) -> bytes:
    """The jobs of one node, as Redis keeps them."""
    return msgspec.json.encode(jobs)


def parse_jobs(raw: bytes) -> Sequence[ToldJob]:
    """Read what `dump_jobs` wrote. Raises Unreadable."""
    with reading.parsing("What a node tells of its jobs"):
        jobs: list[ToldJob] = reading.decoded(_told, raw)
        for each in jobs:
            reading.check_lines(each.job, each.stage, each.user, each.command_id)
            reading.command(each.command)
        return jobs


async def read_jobs(link: Link, keys: Keys) -> Mapping[str, Sequence[ToldJob]]:
    """The jobs of each node that tells some, by its name in small letters; read page by page.

    Raises RedisUnreachable, and Unreadable if there are too many.
    """
    return dict(_readable((await read_hash(link, keys.jobs)).items()))


def _readable(kept: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, Sequence[ToldJob]]]:
    for node, raw in kept:
        try:
            yield reading.plain_name(node.decode(errors="replace")), parse_jobs(raw)
        except (ValueError, Unreadable) as error:
            _dropped.say(node, raw, str(error))
