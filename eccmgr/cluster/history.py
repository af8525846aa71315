"""The latest commands that were sent to nodes, and how many of those expected have answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.cluster.view import Target, TargetKind
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys


@dataclass(frozen=True)
class PastCommand:
    """A command that was sent: by whom, when (wall clock, for showing), to whom, and how far it has got."""

    id: str
    text: str
    target: Target
    issuer: str
    issued_wall_ms: int
    answered: int
    expected: int

    @classmethod
    def parse(cls, fields: Sequence[bytes]) -> "PastCommand":
        """Read what the script answers."""
        made, text, kind, name, issuer, wall, answered, expected = (field.decode(errors="replace") for field in fields)
        return cls(made, text, Target(TargetKind(kind), name), issuer, int(wall), int(answered), int(expected))


async def history(link: Link, keys: Keys, options: ClusterOptions, count: int) -> list[PastCommand]:
    """The latest `count` commands, the newest last; one round trip. Raises RedisUnreachable."""
    args = (to_ms(options.max_step_s), count, keys.command_prefix)
    found = await link.run("history", (keys.state, keys.log), args)
    return [PastCommand.parse(fields) for fields in reversed(found)]
