"""Since when each floating address is held, and who held it before, as the scripts keep it for showing."""

from collections.abc import Mapping
from dataclasses import dataclass

from eccmgr.cluster.roster import read_hash
from eccmgr.errors import Unreadable
from eccmgr.redis import reading
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_dropped = reading.Dropped("time of a VIP")


@dataclass(frozen=True, slots=True)
class Hold:
    """The latest grant of a VIP: its epoch, its time on the server's wall clock, the holder, the holder before ("" for
    none)."""

    epoch: int
    since_ms: int
    node: str
    before: str

    @classmethod
    def parse(cls, raw: bytes) -> "Hold":
        """Read what the scripts keep. Raises Unreadable."""
        with reading.parsing("The time of a VIP"):
            epoch, since, node, before = raw.decode().split("\t")
            since_ms = reading.whole(since)
            if since_ms > reading.LATEST_MS:
                raise ValueError("it is later than any time")
            return cls(reading.whole(epoch), since_ms, reading.line(node), reading.line(before))


async def read_holds(link: Link, keys: Keys) -> Mapping[str, Hold]:
    """The latest grant of each VIP, by address. Raises RedisUnreachable, and Unreadable if there are too many."""
    holds = {}
    for name, raw in (await read_hash(link, keys.vip_holds)).items():
        try:
            holds[reading.address(name.decode(errors="replace"))] = Hold.parse(raw)
        except (ValueError, Unreadable) as error:
            _dropped.say(name, raw, str(error))
    return holds
