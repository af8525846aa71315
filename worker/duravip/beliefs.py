"""This node's beliefs about each VIP, and the latest statements of the other nodes' beliefs."""

import asyncio
from collections.abc import Mapping

from eccmgr.duravip.beliefs import Belief, parts_of, unpack
from eccmgr.duravip.placement import Situation, preferred_node
from eccmgr.duravip.records import MOVED
from eccmgr.duravip.states import Ownership
from eccmgr.errors import Unreadable
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import Dropped
from worker.duravip.model.table import Participant, Row, VipTable
from worker.duravip.placing import Placing
from worker.guardian.wire import boot_time

_dropped = Dropped("beliefs of a node")

_NOTHING: Mapping[str, str] = {}


def beliefs_of(placing: Placing, situation: Situation) -> dict[str, Belief]:
    """Our belief about each VIP that any node states."""
    agent = placing.carrying.agent
    beliefs = {}
    for address, standing in situation.standings.items():
        vip = agent.vips.get(address)
        owner = situation.owners.get(address)
        is_moving = vip is not None and (vip.moving or (owner is not None and not vip.record.owner))
        is_coming = vip is not None and vip.held != vip.plumbed
        ownership = Ownership.MOVING if is_moving or is_coming else Ownership.OWNED if owner else Ownership.UNOWNED
        beliefs[address] = Belief(standing.names, ownership, standing.agreement, owner)
    return beliefs


async def read_table(link: Link, keys: Keys, placing: Placing) -> VipTable:
    """Our beliefs about all VIPs, and the latest statement of each live participant. Raises RedisUnreachable."""
    nodes = list(placing.roster)
    said = []
    if nodes:
        (kept,) = await link.pipeline(("HMGET", keys.vip_beliefs, *nodes))
        said = replies.values(kept, len(nodes))
    situation = placing.situation()
    return await asyncio.to_thread(_table, placing, situation, dict(zip(nodes, said, strict=True)))


def _table(placing: Placing, situation: Situation, said: dict[str, bytes | None]) -> VipTable:
    agent, now = placing.carrying.agent, boot_time()
    rows = []
    for address, belief in beliefs_of(placing, situation).items():
        vip, standing = agent.vips.get(address), situation.standings[address]
        record = vip.record if vip is not None else None
        rows.append(
            Row(
                address,
                belief,
                record.epoch if record else 0,
                standing.nodes,
                preferred_node(standing, situation.nodes),
                standing.follows,
                record is not None and record.reason == MOVED and bool(record.owner),
                situation.owners.get(address) if record and not record.owner else None,
                now - placing.roster_since,
                now - placing.stated_since,
                standing.reason,
                {
                    node: why[address]
                    for node in standing.nodes
                    if address in (why := situation.unable.get(node, _NOTHING))
                },
            )
        )
    participants = [
        participant for node, text in said.items() if (participant := _participant(placing, node, text)) is not None
    ]
    return VipTable(rows, participants, situation.drained)


def _participant(placing: Placing, node: str, text: bytes | None) -> Participant | None:
    seat = placing.roster.get(node)
    if seat is None or text is None:
        return None
    try:
        _, session, packed = parts_of(text)
        beliefs = unpack(packed)
    except Unreadable as error:
        _dropped.say(node, text, str(error))
        return None
    return Participant(seat.name, session, session.replace("#ec0-", "#ec1-", 1), beliefs)


def read_upto(said: Mapping[bytes, bytes]) -> dict[str, int]:
    """For each node, the number of the last change that it had read when it last stated its beliefs."""
    read = {}
    for node, text in said.items():
        try:
            read[node.decode(errors="replace")] = parts_of(text)[0]
        except Unreadable as error:
            _dropped.say(node, text, str(error))
    return read
