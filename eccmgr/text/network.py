"""The addresses of peers, as delays and limits count them, the same with every version of Python. Pure."""

import ipaddress


def plain_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address without its zone, and of version 4 where it stands for one. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    return address.ipv4_mapped or address if address.version == 6 else address


def network_of(text: str) -> str:
    """What counts as one host: an address of version 4, and of version 6 the network of 64 bits, all of which one host
    may have. Raises ValueError."""
    address = plain_address(text)
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
