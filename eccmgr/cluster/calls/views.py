"""The calls about expected nodes: the current view, the nodes of bus files, and forgetting a node."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts

PAGE = 250
"""The approximate number of a hash's fields, or a list's entries, in one call, so that no script holds the server for
long."""
FIRST_PAGE = b"0"
"""Where the reading of a hash begins; a page with this cursor was the last one."""


class HashPage(NamedTuple):
    """Some fields of a hash, and the next cursor: FIRST_PAGE if all was read."""

    following: bytes
    fields: dict[bytes, bytes]


class ViewNumber(NamedTuple):
    """A view: its number, and when its numbering began, tell it from every other."""

    number: int
    born: bytes


class ForgetVerdict(enum.StrEnum):
    """The result of forgetting a node."""

    FORGOTTEN = "forgotten"
    ALIVE = "alive"
    NAMED = "named"
    """Bus files name it."""
    UNKNOWN = "unknown"
    """Nobody expects it."""


@dataclass(frozen=True)
class Forgotten:
    """The result of forgetting a node; `files` are the people's names of the bus files that name it."""

    verdict: ForgetVerdict
    files: tuple[str, ...]


@dataclass(frozen=True)
class NamedChange:
    """A bus file's new statement on a node: the subclusters that it gives the node, and whether it names the node at
    all."""

    node: str
    subclusters: Sequence[str] = ()
    named: bool = True


def page(key: str, after: bytes = FIRST_PAGE, fields: int = PAGE) -> ScriptCall[HashPage]:
    """Read about this many `fields` of the hash `key`, from where the last page ended."""
    return ScriptCall("page", (key,), (after, fields), _page)


def _page(reply: RawReply) -> HashPage:
    following, flat = reply
    # fakeredis answers a number.
    return HashPage(following if isinstance(following, bytes) else str(following).encode(), pairs(flat))


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Fields and values from a script's answer, in which they alternate."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def roster(keys: Keys, options: ClusterOptions, keep_ms: int, known: str = "") -> ScriptCall[ViewNumber]:
    """The number of the current view, which is kept for `keep_ms` unless it is the `known` one.

    `known` is BORN:NUMBER, "" for none.
    """
    args = (to_ms(options.max_step_s), keys.view_prefix, keep_ms, known)
    return ScriptCall("roster", (keys.state, keys.roster, keys.absent), args, _view_number)


def _view_number(reply: Sequence[bytes]) -> ViewNumber:
    number, born = reply
    return ViewNumber(whole(number), born)


def expect(
    keys: Keys, options: ClusterOptions, source: str, called: str, changes: Sequence[NamedChange]
) -> ScriptCall[None]:
    """Take the `changes` of the bus file `source`, whose name for people is `called`; with `called` "" forget the
    file."""
    flat = [word for each in changes for word in (each.node, ",".join(each.subclusters), int(each.named))]
    return ScriptCall(
        "expect",
        (keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
        (to_ms(options.max_step_s), source, called, *flat),
        _taken,
    )


def _taken(reply: bytes) -> None:
    if reply != b"taken":
        raise ValueError(f"{reply!r} is no verdict")


def forget(keys: Keys, options: ClusterOptions, node: str, issuer: str) -> ScriptCall[Forgotten]:
    """Forget an absent node, named in small letters."""
    return ScriptCall(
        "forget",
        (
            *(keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
            *(keys.vips, keys.vip_changes, keys.audit),
        ),
        (to_ms(options.max_step_s), node, issuer, options.audit_cap),
        _forgotten,
    )


_forgetting = verdicts(ForgetVerdict)


def _forgotten(reply: Sequence[bytes]) -> Forgotten:
    verdict, *files = reply
    return Forgotten(_forgetting(verdict), tuple(file.decode(errors="replace") for file in files))
