"""`cluster arp show`: the neighbours that this host's kernel knows."""

import asyncio
import contextlib
import ipaddress

from eccmgr.commands.answer import Answer
from eccmgr.commands.columns import columns
from eccmgr.commands.table import Call, Command
from eccmgr.errors import CommandError
from worker.guardian.interfaces import Interfaces, Neighbour, NeighbourState

_HEADINGS = ("ADDRESS", "HARDWARE ADDRESS", "INTERFACE", "STATE")


def arp_command() -> Command:
    """The entry in the table of commands."""
    return Command(
        "cluster arp show",
        "the neighbours that this host knows: their addresses, hardware addresses and states",
        _show,
        about="From the kernel's tables of ARP (v4) and neighbour discovery (v6).",
        idempotent=True,
    )


async def _show(_call: Call) -> Answer:
    rows = await asyncio.to_thread(_rows)
    facts = [dict(zip(("address", "hardware_address", "interface", "state"), row, strict=True)) for row in rows]
    return Answer(columns(_HEADINGS, rows) if rows else "No neighbours are known", facts={"neighbours": facts})


def _rows() -> list[tuple[str, str, str, str]]:
    """A row for each neighbour, in order of address. Raises CommandError if the kernel gives no answer."""
    try:
        with contextlib.closing(Interfaces()) as interfaces:
            names = {link.index: link.name for link in interfaces.links()}
            table = interfaces.neighbour_table()
            known = [
                neighbour for neighbour in table if neighbour.state and not neighbour.state & NeighbourState.NO_ARP
            ]
    except OSError as error:
        raise CommandError(f"The neighbours are not known: {error.strerror or error}") from None
    return [
        (
            neighbour.address,
            neighbour.mac.hex(":") or "-",
            names.get(neighbour.index, str(neighbour.index)),
            _state(neighbour),
        )
        for neighbour in sorted(known, key=_order)
    ]


def _order(each: Neighbour) -> tuple[int, int, int]:
    address = ipaddress.ip_address(each.address)
    return address.version, int(address), each.index


def _state(each: Neighbour) -> str:
    name = NeighbourState(each.state).name
    return name.lower() if name is not None and "|" not in name else "-"
