"""Formats and parses host and port; no other file does."""

import ipaddress
import re

_WRITTEN = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^\[\]]*?))(?::(?P<port>[^:\[\]]*))?")
_NAME = re.compile(r"[^\s/:@%?#,]+")
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 0xFFFF


def host_port(host: str, port: int) -> str:
    """Format `HOST:PORT`, or `[V6]:PORT` for an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_host_port(text: str, default_port: int | None = None, *, lowest: int = 1) -> tuple[str, int]:
    """Parse `HOST:PORT` or `[V6]:PORT`; the port may be missing only if there is a `default_port`.

    Raises ValueError, whose message repeats nothing of `text`, which may be a piece of a password.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("its brackets do not match; an IPv6 address is written [V6]:PORT")
    v6, host, port = found["v6"], found["host"], found["port"]
    if v6 is not None:
        try:
            host = v6
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("the text in brackets is not an IPv6 address") from None
    elif ":" in host:
        raise ValueError("it has more than one ':'; an IPv6 address is written [V6]:PORT")
    elif not host:
        raise ValueError("its host is missing")
    elif not (_NAME.fullmatch(host) and host.isprintable()):
        raise ValueError("its host is neither a host name nor an address")
    if port is None:
        if default_port is None:
            raise ValueError("its port is missing")
        return host, default_port
    if not (_PORT.fullmatch(port) and lowest <= int(port) <= _PORT_MAX):
        raise ValueError(f"its port is not a number from {lowest} to {_PORT_MAX}")
    return host, int(port)


def read_bare(text: str) -> tuple[str, int]:
    """Parse `HOST:PORT` as Redis writes it: an IPv6 address has no brackets, and the host may be missing.

    Raises ValueError if there is no port.
    """
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
