"""A program that is a node: `python shop.py NAME REDIS_URL`, then `gather @shops queue size` at a manager's console."""

import asyncio
import sys
from collections.abc import AsyncIterator

import eccmgr

orders = ["milk", "bread"]
node = eccmgr.Node(sys.argv[1], redis=sys.argv[2], subcluster="shops")


@node.command("queue size", "how many orders wait", idempotent=True)
async def queue_size() -> str:
    return str(len(orders))


@node.command("order", "take an order, of one piece if not of more")
def order(ware: str, pieces: int = 1) -> str:
    orders.extend([ware] * pieces)
    return f"{len(orders)} wait"


@node.command("ship", "ship all that waits")
async def ship() -> AsyncIterator[str]:
    while orders:
        yield f"shipped {orders.pop(0)}"


asyncio.run(node.run())
