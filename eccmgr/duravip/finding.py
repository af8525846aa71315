"""Finds a floating address by its address, or by the name of a binding."""

import ipaddress
from collections.abc import Mapping

from eccmgr.duravip.states import Agreed
from eccmgr.errors import CommandError


def find_vip(word: str, standings: Mapping[str, Agreed]) -> str | None:
    """The address of the VIP with this address or binding's name; None if there is no such VIP.

    A name is first looked up as written, then without case. Raises CommandError if it fits several VIPs.
    """
    try:
        address = str(ipaddress.ip_address(word))
    except ValueError:
        exact = [vip for vip, standing in standings.items() if word in standing.names]
        lower = word.lower()
        fitting = exact or [
            vip for vip, standing in standings.items() if any(name.lower() == lower for name in standing.names)
        ]
        if len(fitting) > 1:
            raise CommandError(f"VIP '{word}' fits several: {', '.join(fitting[:10])}; give the address") from None
        return fitting[0] if fitting else None
    return address if address in standings else None
