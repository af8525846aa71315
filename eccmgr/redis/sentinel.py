"""Finds the master that the sentinels name.

Own code: the library asks one sentinel after another and trusts the first one that knows a master. That one may not
have heard of the latest failover, and each hanging sentinel costs a time limit. This code asks all at once.
"""

from dataclasses import dataclass, replace
from typing import Any

import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from eccmgr.redis.address import RedisAddress
from eccmgr.redis.client import make_client
from eccmgr.redis.place import NotFound, Spot, ask_all

_ASK_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Master:
    """The master, as one sentinel sees it."""

    spot: Spot
    down: bool


class Sentinels:
    """Asks every sentinel, and trusts the one that knows of the latest failover."""

    def __init__(self, address: RedisAddress) -> None:
        self._service = address.service
        self._sentinels = [make_client(url, _ASK_TIMEOUT_S) for url in address.sentinels()]

    async def seek(self) -> Spot:
        """The present master."""
        answers = await ask_all([self._ask(sentinel) for sentinel in self._sentinels])
        masters = [answer for answer in answers if isinstance(answer, Master)]
        if masters:
            newest = max(masters, key=lambda master: (master.spot.epoch, not master.down))
            if newest.down:
                # Do not try the master that is down: if it hangs, it takes a connection and keeps us waiting.
                raise NotFound("the sentinels say that the master is down")
            # A sentinel that has just started does not know all replicas yet.
            return replace(newest.spot, copies=max(master.spot.copies for master in masters))
        refusals = [answer for answer in answers if isinstance(answer, (ResponseError, AuthenticationError))]
        if not refusals:
            raise NotFound("no sentinel answers")
        if "No such master" in str(refusals[0]):
            raise NotFound("the sentinels do not know this service")
        raise NotFound(f"the sentinels refused: {refusals[0]}")

    async def check(self, connection: AbstractConnection) -> None:
        """Check the role: a sentinel may name a master that was demoted, or a replica that is just being promoted."""
        await connection.send_command("ROLE")
        try:
            role = (await connection.read_response())[0]
        except NoPermissionError:
            return
        if role not in (b"master", "master"):
            raise RedisConnectionError(f"the sentinels' master is a {role.decode()} now")

    async def aclose(self) -> None:
        """Close every connection."""
        for sentinel in self._sentinels:
            await sentinel.aclose()

    async def _ask(self, sentinel: "redis.asyncio.Redis") -> Master:
        fields = await sentinel.execute_command("SENTINEL", "MASTER", self._service)  # type: ignore[no-untyped-call]
        if not isinstance(fields, dict):
            fields = dict(zip(fields[::2], fields[1::2], strict=True))
        read = {_text(name): _text(value) for name, value in fields.items()}
        # While a sentinel makes the replicas follow a new master, its MASTER is still the old master, with the new
        # epoch.
        now = await sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)  # type: ignore[no-untyped-call]
        where = (read["ip"], int(read["port"])) if now is None else (_text(now[0]), int(now[1]))
        is_down = not {"s_down", "o_down"}.isdisjoint(read["flags"].split(","))
        spot = Spot(*where, int(read["config-epoch"]), 1 + int(read["num-slaves"]))
        return Master(spot, is_down and where == (read["ip"], int(read["port"])))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
