"""fakeredis with a COPY that makes a new value, as a real server does. In fakeredis's own COPY, both keys share the
value."""

import copy
from functools import wraps
from typing import Any

import fakeredis
from fakeredis.commands_mixins.generic_mixin import GenericCommandsMixin

_shared = GenericCommandsMixin.copy


@wraps(_shared)
def _copy(self: Any, key: Any, newkey: Any, *args: bytes) -> int:
    key = copy.copy(key)
    key._value = copy.deepcopy(key._value)
    return int(_shared(self, key, newkey, *args))


GenericCommandsMixin.copy = _copy
FakeRedis = fakeredis.FakeRedis
