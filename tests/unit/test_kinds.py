"""The kind of a key's value follows from the key's name, as its docstring says."""

import inspect
from functools import cached_property

from eccmgr.redis.keys import Keys
from eccmgr.redis.kinds import kind_of

KINDS = {"Hash": "hash", "Sorted set": "zset", "Stream": "stream", "List": "list"}


def test_every_key_has_its_documented_kind() -> None:
    keys = Keys("c.1")
    for name, member in inspect.getmembers(Keys):
        if isinstance(member, cached_property):
            key, says = getattr(keys, name), member.__doc__ or ""
        elif inspect.isfunction(member) and not name.startswith("_"):
            parameters = len(inspect.signature(member).parameters) - 1
            key, says = member(keys, *["01ABC"] * parameters), inspect.getdoc(member) or ""
        else:
            continue
        assert kind_of(key) == KINDS.get(says.partition(":")[0], kind_of(key)), name


def test_channels_and_foreign_keys_have_no_kind() -> None:
    keys = Keys("c")
    for name in (keys.events, keys.everyone, keys.node("a"), keys.subcluster("b"), f"{keys.rq_prefix}:queue:a", "x"):
        assert kind_of(name) == ""
