"""The kind of value of each of our keys. A key of another kind is not ours, and blocks the scripts that use it."""

import re
from collections.abc import Iterable, Mapping, Sequence

import structlog
from redis.exceptions import ResponseError

from eccmgr.errors import EccmgrError, RedisRefuses
from eccmgr.redis.keys import TAG_BEGINS
from eccmgr.redis.scripts import ScriptCall
from eccmgr.redis.wire import Argument

log = structlog.get_logger()

_KINDS = (
    ("hash", r"state|members|roster|subclusters|absent|heads|latest(:[^:]+)?|vips|vips:(beliefs|holds)|jobs"),
    ("hash", r"view:[^:]+(:absent)?|cmd:[^:]+(:resp|:plan|:releases|:secret)?|draft:.+|sched:[^:]*(:running)?"),
    ("hash", r"logs:[^:]+|logs:[^:]+:[^:]+:state|loggatherers|series:[^:]+:window"),
    ("zset", r"logs|sessions|seniority|absent:since|vips:changes|vips:late|sched:[^:]*:due|vocabulary"),
    ("zset", r"series|series:[^:]+:(counts|closed)"),
    ("string", r"seriesbatch:[^:]+"),
    ("stream", r"log|audit|logs:[^:]+:[^:]+"),
    ("list", r"cmd:[^:]+:arrived|sched:[^:]*:past|series:[^:]+:written"),
)
_PATTERNS = tuple((kind, re.compile(rf"{re.escape(TAG_BEGINS)}[^}}]+\}}:(?:{names})\Z")) for kind, names in _KINDS)


def kind_of(key: str) -> str:
    """The kind of `key`, in the words of TYPE; "" for a channel, and for a name that is not one of `Keys`."""
    return next((kind for kind, pattern in _PATTERNS if pattern.match(key)), "")


def keys_among(words: Iterable[Argument]) -> dict[str, str]:
    """Those words of a command that are keys of ours, each with its kind."""
    kinds = {word: kind_of(word) for word in words if isinstance(word, str) and word.startswith(TAG_BEGINS)}
    return {key: kind for key, kind in kinds.items() if kind}


def is_of_another_kind(error: BaseException) -> bool:
    """Whether a call failed at a key that holds a wrong kind of value. The text of a script's error says so too."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def mend(kinds: Mapping[str, str]) -> ScriptCall[tuple[tuple[str, str], ...]]:
    """Drop those keys in `kinds` that hold another kind of value; answers each dropped key with its kind."""
    return ScriptCall("mend", tuple(kinds), tuple(kinds.values()), _dropped_keys)


def _dropped_keys(reply: Sequence[bytes]) -> tuple[tuple[str, str], ...]:
    return tuple((key.decode(), was.decode()) for key, was in zip(reply[::2], reply[1::2], strict=True))


def mended(kinds: Mapping[str, str], dropped: Sequence[tuple[str, str]]) -> EccmgrError:
    """The error for a call with the keys `kinds`, after `mend` has `dropped` some of them."""
    if not dropped:
        return EccmgrError("Redis refused: a key holds another kind of value than we write")
    said = []
    for key, was in dropped:
        said.append(f"{key} was a {was}, not a {kinds.get(key)}")
        log.error("key dropped", key=key, reason=said[-1])
    text = f"Redis refused: {', '.join(said)}; it was dropped, try again"
    return RedisRefuses(text, code="WRONGTYPE", soon=True, asked=True)
