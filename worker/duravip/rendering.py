"""Shows VIPs: the list for people, the XML tables for checking scripts, the plan of placement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from eccmgr.cluster.names import natural
from eccmgr.commands.answer import xml_text
from eccmgr.duravip.beliefs import Belief
from eccmgr.duravip.placement import Move, Placement, Situation
from eccmgr.duravip.states import in_order
from eccmgr.text.counting import counted
from worker.duravip.model.table import Participant, Row, VipTable

_ADDRESSES_SHOWN = 3


def title(address: str, names: Iterable[str]) -> str:
    """`10.1.1.1/duravip-1`, or only the address if no binding has it."""
    return "/".join(filter(None, (address, ",".join(names))))


def as_text(table: VipTable) -> str:
    """The answer of `cluster duravip show`."""
    lines = ["DuraVIP State:"]
    for row in table.rows:
        lines.extend(_row_lines(row, table.drained))
    return "\n".join(lines)


def _row_lines(row: Row, drained: frozenset[str]) -> Iterator[str]:
    yield f"{title(row.address, row.belief.names)}: ({row.belief.state}) epoch {row.epoch}"
    yield f"\t[view stable for {row.view_stable_s:.0f} seconds]"
    yield f"\t[configuration stable for {row.configuration_stable_s:.0f} seconds]"
    if row.reason:
        yield f"\t[{row.reason}]"
    if row.follows is not None:
        yield f"\t[follows {row.follows}]"
    owner = row.belief.owner
    owning = [] if owner is None else [owner]
    for node in (*owning, *(node for node in sorted(row.nodes, key=natural) if node != owner)):
        remarks = (
            "preferred" * (node == row.preferred),
            "moved here" * (row.pinned and node == owner),
            "moving here" * (node == row.target),
            "drained" * (node in drained),
            _cannot(row.unable[node]) if node in row.unable else "",
        )
        said = ", ".join(filter(None, remarks))
        yield f"{' *  ' if node == owner else '    '}\t{node}{f' ({said})' if said else ''}"


def _cannot(reason: str) -> str:
    return f"cannot carry it: {reason}" if reason else "cannot carry it"


def impediments(unable: Mapping[str, str], number: int) -> list[str]:
    """One line for each reason: the VIPs that a node cannot carry for that reason. The node takes part in `number`
    VIPs."""
    by_reason: dict[str, list[str]] = {}
    for address, reason in unable.items():
        by_reason.setdefault(reason or "it does not say why", []).append(address)
    return [
        f"{'takes no part' if len(addresses) >= number else f'cannot carry {_some(addresses)}'}: {reason}"
        for reason, addresses in sorted(by_reason.items())
    ]


def _some(addresses: Sequence[str]) -> str:
    shown = sorted(addresses, key=in_order)[:_ADDRESSES_SHOWN]
    more = len(addresses) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def table_facts(table: VipTable) -> dict[str, Any]:
    """`cluster duravip show` in the JSON form."""
    return {
        "vips": [
            {
                "address": row.address,
                "names": list(row.belief.names),
                "ownership": row.belief.ownership.value,
                "agreement": row.belief.agreement.value,
                "reason": row.reason,
                "epoch": row.epoch,
                "owner": row.belief.owner,
                "participants": list(row.nodes),
                "preferred": row.preferred,
                "follows": row.follows,
                "moved": row.pinned,
                "unable": dict(row.unable),
                "target": row.target,
                "view_stable_seconds": round(row.view_stable_s, 3),
                "configuration_stable_seconds": round(row.configuration_stable_s, 3),
            }
            for row in table.rows
        ],
        "drained": sorted(table.drained, key=natural),
    }


def as_xml(table: VipTable) -> str:
    """The answer of `cluster duravip show tables`: each VIP once under each of its names, in order of name, then of
    address."""
    # A VIP without a binding takes its address as its name, so that a script always finds a name.
    entries = [(name, row) for row in table.rows for name in row.belief.names or (row.address,)]
    of_address: dict[str, list[tuple[Participant, Belief]]] = {}
    for participant in table.participants:
        for address, belief in participant.beliefs.items():
            of_address.setdefault(address, []).append((participant, belief))
    by_ip = [_vip_xml(name, row, of_address.get(row.address, ())) for name, row in entries]
    in_order = sorted(range(len(entries)), key=lambda at: natural(entries[at][0]))
    return "\n".join(
        (
            "<VIPStateTable>",
            *_group_xml("group_vips_by_name", [by_ip[at] for at in in_order]),
            *_group_xml("group_vips_by_ip", by_ip),
            "</VIPStateTable>",
        )
    )


def _group_xml(name: str, vips: Iterable[str]) -> Iterator[str]:
    yield f"  <{name}><VIPs>"
    yield from vips
    yield f"  </VIPs></{name}>"


def _vip_xml(name: str, row: Row, views: Iterable[tuple[Participant, Belief]]) -> str:
    return "\n".join(
        (
            "    <VIP>",
            f"      {_belief_xml(name, row.address, row.belief)}<Epoch>{row.epoch}</Epoch>",
            f"      <Last_View_Change>{row.view_stable_s:.0f}</Last_View_Change>",
            "      <ViewsForParticipants>",
            *(line for participant, belief in views for line in _view_xml(name, row.address, participant, belief)),
            "      </ViewsForParticipants>",
            "    </VIP>",
        )
    )


def _view_xml(name: str, address: str, participant: Participant, belief: Belief) -> Iterator[str]:
    own = name if name in belief.names else next(iter(belief.names), address)
    yield "        <ParticipantView>"
    yield "          " + "".join(
        f"<Private_Name>{xml_text(private)}</Private_Name>"
        for private in (participant.control_name, participant.session_name)
    )
    yield f"          {_belief_xml(own, address, belief)}"
    yield "        </ParticipantView>"


def _belief_xml(name: str, address: str, belief: Belief) -> str:
    return f"<Name>{xml_text(name)}</Name><IP>{xml_text(address)}</IP><State>{belief.state}</State>"


def plan_as_text(situation: Situation, placement: Placement) -> str:
    """The answer of `cluster duravip plan`."""
    sections = (
        ("At once", [_move_line(situation, move) for move in (*placement.takeovers, *placement.departures)]),
        ("When the view is mature, in batches", [_move_line(situation, move) for move in placement.balancing]),
        ("Not possible", [_stays(situation, address, why) for address, why in placement.stranded.items()]),
        ("Not managed", [_stays(situation, address, why) for address, why in unmanaged(situation).items()]),
    )
    lines = [] if placement.moves else ["Nothing would move"]
    for heading, section in sections:
        if section:
            lines.extend((f"{heading}: {counted(len(section), 'VIP')}", *section))
    if impeded := _impeded(situation):
        lines.append(f"Nodes that cannot carry all their VIPs: {len(impeded)}")
        lines.extend(f"  {node}: {line}" for node, why in impeded.items() for line in why)
    return "\n".join(lines)


def _impeded(situation: Situation) -> dict[str, list[str]]:
    """The live nodes that cannot carry all of their VIPs, with the reasons."""
    by_node = {}
    for node in sorted(situation.nodes & situation.unable.keys(), key=natural):
        number = sum(node in standing.nodes for standing in situation.standings.values())
        by_node[node] = impediments(situation.unable[node], number)
    return {node: why for node, why in by_node.items() if why}


def plan_facts(situation: Situation, placement: Placement) -> dict[str, Any]:
    """`cluster duravip plan` in the JSON form."""
    return {
        "moves": [
            *_move_facts("at once", (*placement.takeovers, *placement.departures)),
            *_move_facts("mature", placement.balancing),
        ],
        "stranded": dict(placement.stranded),
        "unable": {node: dict(why) for node, why in situation.unable.items() if node in situation.nodes},
        "unmanaged": unmanaged(situation),
    }


def unmanaged(situation: Situation) -> dict[str, str]:
    """The broken VIPs, with the reasons."""
    return {address: standing.reason for address, standing in situation.standings.items() if not standing.managed}


def _move_facts(when: str, moves: Sequence[Move]) -> Iterator[dict[str, Any]]:
    for move in moves:
        yield {
            "address": move.address,
            "from": move.source,
            "to": move.target,
            "reason": move.reason,
            "when": when,
        }


def _move_line(situation: Situation, move: Move) -> str:
    names = situation.standings[move.address].names
    return f"  {title(move.address, names)}: {move.source or 'nobody'} → {move.target} ({move.reason})"


def _stays(situation: Situation, address: str, why: str) -> str:
    where = situation.owners.get(address)
    where = f"stays on {where}" if where in situation.nodes else "carried by nobody"
    return f"  {title(address, situation.standings[address].names)}: {where} ({why})"
