"""A node's share in each VIP: the part of its configuration on which nodes have to agree, and its form for the other
nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

from eccmgr.errors import Unreadable
from eccmgr.redis import reading

MAX_VIPS = 32_768
"""The maximum number of VIPs in one configuration."""


class Share(NamedTuple):
    """A node's part in a VIP: the node may carry the VIP, and states these facts about it.

    `names` are those of its bindings, in order. `follows` is the address of the VIP with which it moves. `services` is
    a digest of all listeners on the address.
    """

    names: tuple[str, ...] = ()
    preference: str | None = None
    follows: str | None = None
    services: str = ""


_Row = tuple[str, tuple[str, ...], str | None, str | None, str]
_decoder = msgspec.json.Decoder(list[_Row])
_LONGEST = 32 * 1024 * 1024
_REMEMBERED = 64
"""The most lines that are remembered, of at most `_REMEMBERED_MAX` characters each."""
_REMEMBERED_MAX = 256 * 1024
Shares = Mapping[str, Share]
"""The VIPs in which one node takes part, by address as `ipaddress` writes it."""


def to_json(shares: Shares) -> str:
    """`shares` as one line. Their order makes no difference."""
    rows = [[address, *share] for address, share in sorted(shares.items())]
    return msgspec.json.encode(rows).decode()


def from_json(text: str) -> Shares:
    """Read a line of `to_json`. Raises Unreadable if another release or another program wrote it.

    Thousands of nodes state the same: a line that was read lately is not read again.
    """
    return _read_once(text) if len(text) <= _REMEMBERED_MAX else _read(text)


def _read(text: str) -> Shares:
    try:
        return {
            reading.address(address): Share(
                names,
                preference,
                None if follows is None else reading.address(follows),
                services,
            )
            for address, names, preference, follows, services in _rows(text)
        }
    except (ValueError, TypeError) as error:
        raise Unreadable(f"A node's statement of its VIPs cannot be read: {error}") from None


_read_once = lru_cache(_REMEMBERED)(_read)


def _rows(text: str) -> Iterator[_Row]:
    rows = reading.decoded(_decoder, text, _LONGEST)
    if len(rows) > MAX_VIPS:
        raise ValueError(f"it has more than {MAX_VIPS} VIPs")
    for row in rows:
        _, names, preference, _, services = row
        reading.check_lines(*names, preference, services)
        yield row


def digest(text: str) -> str:
    """16 hexadecimal digits for a text: equal digests mean equal texts."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
