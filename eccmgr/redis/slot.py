"""Finds the node of a Redis Cluster that owns the one slot of our keys.

Own code: the library's cluster client makes every call itself, at the cost that `wire.py` states. By default it also
repeats a call whose connection was lost, but a script that may have run must never be repeated. We need only one
connection to one node.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ResponseError

from eccmgr.redis.address import RedisAddress
from eccmgr.redis.client import make_client
from eccmgr.redis.library import slot_of
from eccmgr.redis.place import NotFound, Spot, ask_all
from eccmgr.text.hostport import read_bare

_ASK_TIMEOUT_S = 1.0
_ASKED = 5


@dataclass(frozen=True)
class Shard:
    """A master, as one node of the cluster describes it."""

    spot: Spot
    failed: bool
    owns: bool


class SlotOwner:
    """Asks some nodes for the owner of the slot, and trusts the one that knows of the latest change."""

    def __init__(self, address: RedisAddress, tag: str) -> None:
        self._address = address
        self._slot = slot_of(tag)
        self._seeds = address.hosts
        self._masters: tuple[tuple[str, int], ...] = ()
        self._clients: dict[tuple[str, int], redis.asyncio.Redis] = {}
        for seed in self._seeds:
            self._client(*seed)

    async def seek(self) -> Spot:
        """The present owner of the slot."""
        others = list({*self._masters, *self._seeds})
        random.shuffle(others)
        answers = await ask_all([self._ask(*node) for node in others[:_ASKED]])
        tables = [answer for answer in answers if isinstance(answer, list)]
        if not tables:
            refusals = [answer for answer in answers if isinstance(answer, (ResponseError, AuthenticationError))]
            raise NotFound(f"the nodes refused: {refusals[0]}" if refusals else "no node of the cluster answers")
        owners = [shard for table in tables for shard in table if shard.owns]
        if not owners:
            raise NotFound("no node of the cluster owns our slot")
        newest: Shard = max(owners, key=lambda shard: (shard.spot.epoch, not shard.failed))
        if newest.failed:
            raise NotFound("the node that owns our slot has failed")
        self._masters = tuple({(shard.spot.host, shard.spot.port) for table in tables for shard in table})
        await self._forget()
        return newest.spot

    async def check(self, connection: AbstractConnection) -> None:
        """There is nothing to check: a node that does not own the slot says so to every command."""

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()

    async def _ask(self, host: str, port: int) -> list[Shard]:
        answer = await self._client(host, port).execute_command("CLUSTER", "NODES")  # type: ignore[no-untyped-call]
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        return list(read_masters(text.removeprefix("txt:"), host, self._slot))

    def _client(self, host: str, port: int) -> "redis.asyncio.Redis":
        if (host, port) not in self._clients:
            self._clients[host, port] = make_client(self._address.node(host, port), _ASK_TIMEOUT_S)
        return self._clients[host, port]

    async def _forget(self) -> None:
        for node in set(self._clients) - {*self._masters, *self._seeds}:
            await self._clients.pop(node).aclose()


def read_masters(table: str, asked: str, slot: int) -> Iterator[Shard]:
    """The masters in `table`, the answer of host `asked` to CLUSTER NODES."""
    for line in table.splitlines():
        _id, address, flags, _master, _ping, _pong, epoch, _link, *slots = line.split()
        marks = flags.split(",")
        if "master" in marks and "noaddr" not in marks:
            host, port = read_bare(address.partition(",")[0].partition("@")[0])
            # A node does not know its own address before it has met another node.
            spot = Spot(host or asked, port, int(epoch))
            yield Shard(spot, "fail" in marks, any(_holds(span, slot) for span in slots))


def _holds(span: str, slot: int) -> bool:
    """Whether `span` holds `slot`. A span is 5, 5-9, or [5->-…] for a slot that is just moving."""
    if span.startswith("["):
        return False
    first, _, last = span.partition("-")
    return int(first) <= slot <= int(last or first)
