"""The part of a node's configuration of VIPs on which nodes have to agree, and its form for the other nodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from eccmgr.errors import Unreadable
from eccmgr.redis import reading

MAX_VIPS = 32_768
"""The most VIPs in one configuration."""


class Share(NamedTuple):
    """A node's part in a VIP: the node may carry the VIP, and states this of it.

    `names` are those of its bindings, in order. `follows` is the address of the VIP with which it moves. `services` is
    a digest of all listeners on the address.
    """

    names: tuple[str, ...] = ()
    preference: str | None = None
    follows: str | None = None
    services: str = ""


Shares = Mapping[str, Share]
"""All VIPs in which one node takes part, by address (as `ipaddress` writes it)."""


def to_json(shares: Shares) -> str:
    """`shares` as one line, which does not depend on their order."""
    rows = [[address, *share] for address, share in sorted(shares.items())]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str | bytes) -> dict[str, Share]:
    """Read a line of `to_json`. Raises Unreadable if another release or another program wrote it."""
    try:
        return {
            reading.address(address): Share(
                tuple(map(reading.line, names)),
                reading.line_or_none(preference),
                None if follows is None else reading.address(follows),
                reading.line(services),
            )
            for address, names, preference, follows, services in reading.decoded(text)
        }
    except (ValueError, TypeError) as error:
        raise Unreadable(f"What a node states of its VIPs cannot be read: {error}") from None


def digest(text: str) -> str:
    """16 hexadecimal digits for a text: equal digests mean equal texts."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
