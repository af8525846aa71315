"""Bounds on what is read whole from Redis: no reader spends its time on what somebody else has written there."""

from eccmgr.errors import Unreadable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link

FIELDS_MAX = 50_000
"""The most fields of a hash that is read page by page."""
MEMBERS_MAX = 25_000
"""The most fields of a hash that is read in one call, with a field for each member: a cluster has 20,000 nodes."""


async def check_members(link: Link, key: str) -> None:
    """Raises Unreadable if the hash `key` has more fields than a cluster has members, and RedisUnreachable."""
    if replies.count(await link.call("HLEN", key)) > MEMBERS_MAX:
        raise too_many(key, MEMBERS_MAX)


def too_many(key: str, most: int) -> Unreadable:
    """The error for a hash with more than `most` fields."""
    return Unreadable(f"{key} has more than {most} fields in Redis: remove those that are not ours")
