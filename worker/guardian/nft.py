"""nftables without a process: rules by libnftables in its own language, elements of sets by netlink.

The work of each heartbeat uses netlink alone, so its cost does not grow with the ruleset.
"""

import ctypes
import enum
import os
import struct
from collections.abc import Sequence

from worker.guardian.netlink import (
    CREATE,
    NESTED,
    NETFILTER,
    Netlink,
    NetlinkReply,
    NetlinkRequest,
    attribute,
    attributes,
)

_LIBRARY = "libnftables.so.1"
_SUBSYSTEM = 10
_NETDEV = 5
_NEW_ELEMENTS, _DELETE_ELEMENTS = 12, 14
_NEW_GENERATION = 15
_ELEMENTS_A_MESSAGE = 500
GROUP_MASK = 1 << (7 - 1)  # NFNLGRP_NFTABLES


class _SetMessage(enum.IntEnum):
    """Attributes of a message that changes elements of a set. Every message about something in a table has TABLE."""

    TABLE = 1
    SET = 2
    ELEMENTS = 3


class _ElementList(enum.IntEnum):
    """Attributes of a list."""

    ELEMENT = 1


class _SetElement(enum.IntEnum):
    """Attributes of an element of a set; TIMEOUT in ms."""

    KEY = 1
    TIMEOUT = 4


class _SetKey(enum.IntEnum):
    """Attributes of a key."""

    VALUE = 1


class Rules:
    """libnftables: takes the language of `nft -f`, as one transaction."""

    def __init__(self) -> None:
        """Raises OSError if the library is not available."""
        self._library = ctypes.CDLL(_LIBRARY)
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_buffer_output(self._context)

    def run(self, text: str) -> None:
        """Run a text. Raises OSError with the message of nft."""
        if self._library.nft_run_cmd_from_buffer(self._context, text.encode()):
            said = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise OSError(said.decode(errors="replace").strip().split("\n")[0] or "nft refused it")

    def close(self) -> None:
        """Free the library's context."""
        self._library.nft_ctx_free(self._context)


class Elements:
    """The elements of the sets of one netdev table, by netlink."""

    def __init__(self, table: str) -> None:
        self._table = table.encode() + b"\0"
        self._netlink = Netlink(NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def carry_out(self, changes: Sequence[NetlinkRequest]) -> None:
        """Send all messages as one transaction. Raises OSError; then none of them takes effect."""
        for number in self._netlink.transaction(changes, _SUBSYSTEM):
            if number:
                raise OSError(number, os.strerror(number))

    def add(self, name: str, keys: Sequence[bytes], timeout_s: float = 0.0) -> list[NetlinkRequest]:
        """Add keys to a set for `timeout_s`, rounded down to whole milliseconds; for good if that is 0."""
        life = attribute(_SetElement.TIMEOUT, struct.pack("!Q", max(1, int(timeout_s * 1000)))) if timeout_s else b""
        return [
            self._request(_NEW_ELEMENTS, CREATE, name, keys[start : start + _ELEMENTS_A_MESSAGE], life)
            for start in range(0, len(keys), _ELEMENTS_A_MESSAGE)
        ]

    def delete(self, name: str, key: bytes) -> NetlinkRequest:
        """Remove a key from a set. The kernel refuses this if the key is not in the set, or has expired."""
        return self._request(_DELETE_ELEMENTS, 0, name, (key,), b"")

    def flush(self, name: str) -> NetlinkRequest:
        """Remove all keys from a set."""
        return self._request(_DELETE_ELEMENTS, 0, name, (), b"")

    def is_foreign(self, event: NetlinkReply) -> bool:
        """Whether an event reports a change of our table by another process."""
        kind = event.kind & 0xFF
        if event.kind >> 8 != _SUBSYSTEM or kind == _NEW_GENERATION or event.port in (0, self._netlink.port):
            return False
        return attributes(event.body, 4).get(_SetMessage.TABLE) == self._table

    def _request(self, kind: int, flags: int, name: str, keys: Sequence[bytes], life: bytes) -> NetlinkRequest:
        body = struct.pack("!BBH", _NETDEV, 0, 0) + attribute(_SetMessage.TABLE, self._table)
        body += attribute(_SetMessage.SET, name.encode() + b"\0")
        if keys:
            body += attribute(_SetMessage.ELEMENTS | NESTED, b"".join(_element(key, life) for key in keys))
        return NetlinkRequest((_SUBSYSTEM << 8) | kind, flags, body)


def _element(key: bytes, life: bytes) -> bytes:
    """An element of a list of elements; `life` is its time-out as an attribute, or empty."""
    packed = attribute(_SetElement.KEY | NESTED, attribute(_SetKey.VALUE, key))
    return attribute(_ElementList.ELEMENT | NESTED, packed + life)
