"""Reads the replies to plain commands by their kinds, because another program at Redis's address may answer anything.

Each function raises Unreadable for a reply of another kind. The replies to scripts are read by `ScriptCall.answer`.
"""

from eccmgr.errors import Unreadable
from eccmgr.redis.reading import LATEST_MS, whole


def text(reply: object) -> bytes:
    """Read a text: GET, INFO."""
    if not isinstance(reply, bytes):
        raise _other(reply, "a text")
    return reply


def value(reply: object) -> bytes | None:
    """Read a text, or None for a missing value: HGET."""
    return None if reply is None else text(reply)


def texts(reply: object) -> list[bytes]:
    """Read a list of texts: HVALS, LRANGE, ZRANGE."""
    return [text(item) for item in _items(reply)]


def values(reply: object, number: int) -> list[bytes | None]:
    """Read this number of texts, with None for each missing value: HMGET."""
    texts = [value(item) for item in _items(reply)]
    if len(texts) != number:
        raise _other(reply, f"a list of {number}")
    return texts


def fields(reply: object) -> dict[bytes, bytes]:
    """Read fields with their values, as a map or as a list in which they alternate: HGETALL, CONFIG GET."""
    if isinstance(reply, dict):
        return {text(name): text(item) for name, item in reply.items()}
    flat = texts(reply)
    if len(flat) % 2:
        raise _other(reply, "a list of pairs")
    return dict(zip(flat[::2], flat[1::2], strict=True))


def scores(reply: object) -> list[tuple[bytes, float]]:
    """Read members with their scores: ZRANGE WITHSCORES, in pairs or flat."""
    flat = _items(reply)
    rows = flat if flat and isinstance(flat[0], list) else list(zip(flat[::2], flat[1::2], strict=False))
    scored = []
    for row in rows:
        match row:
            case [bytes(name), int(score) | float(score) | bytes(score)]:
                scored.append((name, _score(score)))
            case _:
                raise _other(reply, "a list of members and scores")
    return scored


def scores_of(reply: object, number: int) -> list[float | None]:
    """Read this number of scores, with None for each missing member: ZMSCORE."""
    items = _items(reply)
    if len(items) != number:
        raise _other(reply, f"a list of {number}")
    return [None if item is None else _score(item) for item in items]


def streams(reply: object) -> dict[bytes, list[tuple[bytes, dict[bytes, bytes]]]]:
    """Read the entries of streams, each with its id and its fields, as a map or in pairs: XREAD."""
    entries: dict[bytes, list[tuple[bytes, dict[bytes, bytes]]]] = {}
    for pair in reply.items() if isinstance(reply, dict) else _items([] if reply is None else reply):
        match pair:
            case [bytes(stream), list(rows)] | (bytes(stream), list(rows)):
                entries[stream] = [_entry(row) for row in rows]
            case _:
                raise _other(reply, "entries of streams")
    return entries


def _entry(row: object) -> tuple[bytes, dict[bytes, bytes]]:
    match row:
        case [bytes(name), flat]:
            return name, fields(flat)
        case _:
            raise _other(row, "an entry of a stream")


def _score(written: object) -> float:
    try:
        if isinstance(written, bytes | int | float):
            return float(written)
        raise ValueError("this is no number")
    except (ValueError, OverflowError):
        raise _other(written, "a score") from None


def count(reply: object) -> int:
    """Read a number of items: HLEN."""
    if not isinstance(reply, int) or isinstance(reply, bool) or reply < 0:
        raise _other(reply, "a number of items")
    return reply


def time_ms(reply: object) -> int:
    """Read a time in ms: TIME."""
    try:
        seconds, micros = map(whole, texts(reply))
    except ValueError:
        raise _other(reply, "a time") from None
    if not 0 <= (now_ms := seconds * 1000 + micros // 1000) <= LATEST_MS:
        raise _other(reply, "a time")
    return now_ms


def _items(reply: object) -> list[object]:
    if not isinstance(reply, list):
        raise _other(reply, "a list")
    return reply


def _other(reply: object, due: str) -> Unreadable:
    return Unreadable(f"Redis answered a reply of another kind: {due} was due, not {type(reply).__name__}")
