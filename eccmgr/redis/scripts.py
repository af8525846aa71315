"""Loads the Lua scripts and calls them: one sha, loaded again where the server has forgotten it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError

from eccmgr.redis.wire import Argument

Call = Callable[..., Awaitable[Any]]
"""Sends one command, given as its words, and answers what the server answers."""

_FOLDER = resources.files("eccmgr.redis") / "lua"


@dataclass(frozen=True)
class Script:
    """One `.lua` file, with the parts that it needs before it."""

    name: str
    source: str
    sha: str

    async def __call__(self, call: Call, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script once by `call`; a script that the server does not know has not run, and is sent whole."""
        try:
            return await call("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await call("EVAL", self.source, len(keys), *keys, *args)


def load_all() -> None:
    """Read every script now, so that no event loop waits for the disk later."""
    for name in names():
        for sharded in (False, True):
            script(name, sharded=sharded)


def names() -> list[str]:
    """Every script that there is."""
    return sorted(file.name.removesuffix(".lua") for file in _FOLDER.iterdir() if file.name.endswith(".lua"))


@cache
def script(name: str, *, sharded: bool = False) -> Script:
    """The script in `lua/NAME.lua`; where `sharded`, it sends messages as a Redis Cluster wants them."""
    own = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    needed = re.search(r"^-- NEEDS +(.*)$", own, re.MULTILINE)
    parts = [] if needed is None or needed[1] == "nothing" else needed[1].split()
    before = [(_FOLDER / "parts" / f"{part}.lua").read_text(encoding="utf-8") for part in parts]
    source = "\n".join((f"local PUBLISH = '{'SPUBLISH' if sharded else 'PUBLISH'}'", *before, own))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())
