"""What a node's configuration says of each VIP, as far as nodes have to agree on it; how it is told to the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from eccmgr.errors import Unreadable
from eccmgr.redis import reading

MAX_VIPS = 32_768
"""VIPs in one configuration."""


class Share(NamedTuple):
    """A node's part in a VIP: the node may carry it, and says this of it.

    `names` are those of its bindings, in order. `follows` is the address of the VIP that it moves with. `services` is a
    digest of all that listens on the address.
    """

    names: tuple[str, ...] = ()
    preference: str | None = None
    follows: str | None = None
    services: str = ""


Shares = Mapping[str, Share]
"""All that one node takes part in, by address (as `ipaddress` writes it)."""


def to_json(shares: Shares) -> str:
    """`shares` as one line, the same for the same shares in any order."""
    rows = [[address, *share] for address, share in sorted(shares.items())]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def from_json(text: str | bytes) -> dict[str, Share]:
    """What `to_json` wrote. Raises Unreadable where another release or another program wrote it."""
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
    """16 hexadecimal digits that stand for a text: equal digests, equal texts."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
