"""What the nodes last said that they believe of one VIP, read by a process that carries none."""

import asyncio
import enum
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from eccmgr.duravip.beliefs import UNPACKED_MAX, Belief, belief_about, inflate
from eccmgr.duravip.states import Agreement, Ownership
from eccmgr.errors import Unreadable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped, exactly, raw_texts
from eccmgr.redis.scripts import RawReply, ScriptCall

PAGE = 100
"""The nodes of one call: no script may hold Redis for long."""
_STATEMENT_MAX = 2 * 1024 * 1024
_ANSWER_MAX = 8 * 1024 * 1024
_INFLATED_MAX = 64 * 1024 * 1024
"""The most bytes that are unpacked for one VIP. Nodes that believe the same count once."""
_dropped = Dropped("beliefs of a node")


class Accord(enum.StrEnum):
    """Whether a node believes of a VIP what the records in Redis say."""

    SAME = "same"
    """It does."""
    DIFFERS = "differs"
    """It believes something else."""
    UNAWARE = "unaware"
    """It has said what it believes, and does not know the VIP."""
    UNSAID = "unsaid"
    """It has said nothing in its present session, or not yet."""
    UNREAD = "unread"
    """Its statement is too long, or cannot be read."""


SaidOfVip = Belief | Accord
"""A belief, or the reason why there is none."""


class StatedBeliefs(NamedTuple):
    """Different statements, packed, and for each node the session of its statement and its number among these: from 1,
    0 if the node has stated nothing, -1 if its statement was not read."""

    packed: tuple[bytes, ...]
    by_node: tuple[tuple[bytes, int], ...]


def beliefs(keys: Keys, nodes: Sequence[str], most_bytes: int = _ANSWER_MAX) -> ScriptCall[StatedBeliefs]:
    """Read the statements of `nodes`, named in small letters; of different ones at most `most_bytes`."""

    def stated(reply: RawReply) -> StatedBeliefs:
        packed, flat = raw_texts(reply[0]), exactly(2 * len(nodes), reply[1])
        numbers = [_number(number, len(packed)) for number in flat[1::2]]
        return StatedBeliefs(packed, tuple(zip(raw_texts(list(flat[::2])), numbers, strict=True)))

    return ScriptCall("vip_beliefs", (keys.vip_beliefs,), (_STATEMENT_MAX, most_bytes, *nodes), stated)


def _number(number: int, most: int) -> int:
    if not isinstance(number, int) or not -1 <= number <= most:
        raise ValueError(f"{number!r} is not the number of a statement")
    return number


async def read_beliefs(link: Link, keys: Keys, address: str, sessions: Mapping[str, str]) -> dict[str, SaidOfVip]:
    """What each of the nodes last said of the VIP in its present session. `sessions` has their private names by the
    nodes' names in small letters. Raises RedisUnreachable, and Unreadable."""
    said: dict[str, SaidOfVip] = {}
    reader, nodes = _BeliefReader(address), list(sessions)
    for first in range(0, len(nodes), PAGE):
        page = nodes[first : first + PAGE]
        stated = await link.run(beliefs(keys, page))
        about = await asyncio.to_thread(reader.about_each, stated.packed)
        for node, (session, number) in zip(page, stated.by_node, strict=True):
            if number > 0:
                said[node] = about[number - 1] if session == sessions[node].encode() else Accord.UNSAID
            else:
                said[node] = Accord.UNREAD if number else Accord.UNSAID
    return said


class _BeliefReader:
    """Finds one VIP in statements, each different one once."""

    def __init__(self, address: str) -> None:
        self._address, self._left = address, _INFLATED_MAX
        self._known: dict[bytes, SaidOfVip] = {}

    def about_each(self, statements: Sequence[bytes]) -> list[SaidOfVip]:
        """The belief in each of the packed statements, or why there is none."""
        digests = [sha256(packed).digest() for packed in statements]
        for digest, packed in zip(digests, statements, strict=True):
            if digest not in self._known:
                self._known[digest] = self._read(packed)
        return [self._known[digest] for digest in digests]

    def _read(self, packed: bytes) -> SaidOfVip:
        if not self._left:
            return Accord.UNREAD
        most = min(self._left, UNPACKED_MAX)
        self._left -= most
        try:
            text = inflate(packed, most)
            self._left += most - len(text)
            return belief_about(self._address, text) or Accord.UNAWARE
        except Unreadable as error:
            _dropped.say(self._address, packed, str(error))
            return Accord.UNREAD


def accord(
    said: SaidOfVip, owner: str | None, target: str | None, ownership: Ownership, agreement: Agreement | None
) -> Accord:
    """How what a node said of a VIP stands to its record: its `owner`, or the `target` that it waits for."""
    if not isinstance(said, Belief):
        return said
    if said.agreement is not agreement:
        return Accord.DIFFERS
    if said.ownership is ownership and said.owner == owner:
        return Accord.SAME
    # A VIP that was given up for a target is the target's for a while, then nobody's, whoever looks at its record.
    waits = owner is None and target is not None
    awaited = said.ownership is Ownership.MOVING and (said.owner or "").lower() == (target or "").lower()
    free = said.ownership is Ownership.UNOWNED
    return Accord.SAME if waits and (awaited or free) else Accord.DIFFERS
