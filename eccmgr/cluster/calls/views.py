"""The calls about expected nodes: the current view, the nodes of bus files, and forgetting a node."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import raw_text, raw_texts, whole
from eccmgr.redis.scripts import RawReply, ScriptCall, verdicts

PAGE = 250
"""The approximate number of a hash's fields, or of a list's entries, in one call: no script may hold the server for
long."""
FIRST_PAGE = b"0"
"""The cursor of a hash's first page. A page that answers this cursor is the last one."""


class HashPage(NamedTuple):
    """Some fields of a hash, and the next cursor: FIRST_PAGE if all was read."""

    following: bytes
    fields: dict[bytes, bytes]


class ViewNumber(NamedTuple):
    """Identifies a view by its number and by the time at which the numbering began."""

    number: int
    born: bytes


class ForgetVerdict(enum.StrEnum):
    """The result of forgetting a node."""

    FORGOTTEN = "forgotten"
    ALIVE = "alive"
    NAMED = "named"
    """Bus files name it."""
    UNKNOWN = "unknown"
    """The node is not expected, so there is nothing to forget."""


@dataclass(frozen=True)
class Forgotten:
    """The result of forgetting a node. `files` are the bus files that name the node, as people call them."""

    verdict: ForgetVerdict
    files: tuple[str, ...]


@dataclass(frozen=True)
class NamedChange:
    """A bus file's new statement on a node: the subclusters that it gives the node, or that it no longer names the
    node."""

    node: str
    subclusters: Sequence[str] = ()
    named: bool = True


def page(key: str, after: bytes = FIRST_PAGE, fields: int = PAGE) -> ScriptCall[HashPage]:
    """Read the page of the hash `key` at the cursor, with about `fields` fields."""
    return ScriptCall("page", (key,), (after, fields), _page)


def _page(reply: RawReply) -> HashPage:
    following, flat = reply
    # fakeredis answers a number.
    return HashPage(following if isinstance(following, bytes) else str(following).encode(), pairs(flat))


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields and values of a script's answer, in which they alternate. Raises ValueError.

    None may stand for a value that is gone.
    """
    raw_texts(list(flat[::2]))
    raw_texts([value for value in flat[1::2] if value is not None])
    return dict(zip(flat[::2], flat[1::2], strict=True))


def roster(keys: Keys, options: ClusterOptions, keep_ms: int, known: str = "") -> ScriptCall[ViewNumber]:
    """The number of the current view. The script keeps that view for `keep_ms`, unless it is the `known` one.

    `known` is BORN:NUMBER, "" for none.
    """
    args = (to_ms(options.max_step_s), keys.view_prefix, keep_ms, known)
    return ScriptCall("roster", (keys.state, keys.roster, keys.absent), args, _view_number)


def _view_number(reply: Sequence[bytes]) -> ViewNumber:
    number, born = reply
    return ViewNumber(whole(number), raw_text(born))


def expect(
    keys: Keys, options: ClusterOptions, source: str, called: str, changes: Sequence[NamedChange]
) -> ScriptCall[None]:
    """Take the `changes` of the bus file `source`, which people call `called`. If `called` is "", forget the file."""
    flat = [word for change in changes for word in (change.node, ",".join(change.subclusters), int(change.named))]
    return ScriptCall(
        "expect",
        (keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
        (to_ms(options.max_step_s), source, called, *flat),
        _taken,
    )


def _taken(reply: bytes) -> None:
    if reply != b"taken":
        raise ValueError(f"{reply!r} is not a verdict")


def forget(keys: Keys, options: ClusterOptions, node: str, issuer: str) -> ScriptCall[Forgotten]:
    """Forget an absent node, named in small letters."""
    return ScriptCall(
        "forget",
        (
            *(keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
            *(keys.vips, keys.vip_changes, keys.audit, keys.vip_beliefs),
        ),
        (to_ms(options.max_step_s), node, issuer, options.audit_cap),
        _forgotten,
    )


_forgetting = verdicts(ForgetVerdict)


def _forgotten(reply: Sequence[bytes]) -> Forgotten:
    verdict, *files = reply
    return Forgotten(_forgetting(verdict), tuple(file.decode(errors="replace") for file in files))
