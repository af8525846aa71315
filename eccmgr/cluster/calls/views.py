"""The calls about who is expected: the view of now, what bus files name, whom to expect no more."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from eccmgr.cluster.options import ClusterOptions, to_ms
from eccmgr.redis.keys import Keys
from eccmgr.redis.reading import whole
from eccmgr.redis.scripts import ScriptCall, verdicts

PAGE = 250
"""About how many fields of a hash, or entries of a list, one call reads: no script holds the server for long."""
FIRST_PAGE = b"0"
"""Where the reading of a hash begins; a page that says so again was the last."""


class HashPage(NamedTuple):
    """Some fields of a hash, and where its reading goes on: FIRST_PAGE where all was read."""

    following: bytes
    fields: dict[bytes, bytes]


class ViewNumber(NamedTuple):
    """A view, told from every other by its number and by when its numbering began."""

    number: int
    born: bytes


class Forgetting(enum.StrEnum):
    """What became of the wish to expect a node no more."""

    FORGOTTEN = "forgotten"
    ALIVE = "alive"
    NAMED = "named"
    """Bus files name it."""
    UNKNOWN = "unknown"
    """Nobody expects it."""


@dataclass(frozen=True)
class Forgotten:
    """What became of that wish; `files` are those that name the node, as people call them."""

    verdict: Forgetting
    files: tuple[str, ...]


@dataclass(frozen=True)
class NamedChange:
    """What a bus file says anew of a node: the subclusters that it gives it, and whether it names it at all."""

    node: str
    subclusters: Sequence[str] = ()
    named: bool = True


def page(key: str, after: bytes = FIRST_PAGE, fields: int = PAGE) -> ScriptCall[HashPage]:
    """About so many `fields` of the hash `key`, from where another page ended."""
    return ScriptCall("page", (key,), (after, fields), _page)


def _page(reply: Sequence[Any]) -> HashPage:
    following, flat = reply
    # fakeredis answers a number.
    return HashPage(following if isinstance(following, bytes) else str(following).encode(), pairs(flat))


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Fields and values that a script answers in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def roster(keys: Keys, options: ClusterOptions, keep_ms: int, known: str = "") -> ScriptCall[ViewNumber]:
    """The number of the view of now, which is kept for `keep_ms` where it is not the one that is `known`.

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
    """The bus file `source`, which people call `called`, says `changes`; with `called` "" the file is forgotten."""
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
    """Expect an absent node, named in small letters, no more."""
    return ScriptCall(
        "forget",
        (
            *(keys.state, keys.roster, keys.absent, keys.absent_since, keys.subclusters, keys.events),
            *(keys.vips, keys.vip_changes, keys.audit),
        ),
        (to_ms(options.max_step_s), node, issuer, options.audit_cap),
        _forgotten,
    )


_forgetting = verdicts(Forgetting)


def _forgotten(reply: Sequence[bytes]) -> Forgotten:
    verdict, *files = reply
    return Forgotten(_forgetting(verdict), tuple(file.decode(errors="replace") for file in files))
