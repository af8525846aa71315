"""The latest commands that were sent to nodes, and how many of their expected nodes have answered."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from eccmgr.cluster.calls import commands
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.results import wall_ms
from eccmgr.cluster.view import Target
from eccmgr.errors import Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, command, line, plain_name, whole

_dropped = Dropped("command of the history")


@dataclass(frozen=True)
class PastCommand:
    """A command that was sent. Its time is on the wall clock, for showing."""

    id: str
    text: str
    target: Target
    issuer: str
    issued_wall_ms: int
    answered: int
    expected: int

    @classmethod
    def parse(cls, fields: Sequence[bytes]) -> "PastCommand":
        """Read a command from the script's answer. Raises Unreadable."""
        try:
            made, text, kind, name, issuer, wall, answered, expected = (f.decode(errors="replace") for f in fields)
            target = Target.read(kind, name)
            return cls(
                plain_name(made), command(text), target, line(issuer), wall_ms(wall), whole(answered), whole(expected)
            )
        except (ValueError, AttributeError) as error:
            raise Unreadable(f"The record of a command in Redis cannot be read: {error}") from error


async def history(link: Link, keys: Keys, options: ClusterOptions, count: int) -> list[PastCommand]:
    """The latest `count` commands, the newest last, in one round trip. Raises RedisUnreachable."""
    kept = await link.run(commands.history(keys, options, count))
    return list(_readable(reversed(kept)))


def _readable(kept: Iterable[Sequence[bytes]]) -> Iterator[PastCommand]:
    for fields in kept:
        try:
            yield PastCommand.parse(fields)
        except Unreadable as error:
            _dropped.say(next(iter(fields), b""), tuple(fields), str(error))
