"""Loads the Lua scripts and calls them: one sha, loaded again where the server has forgotten it."""

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


@dataclass(frozen=True)
class Script:
    """One `.lua` file with the prologue that every script of ours begins with."""

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
    for file in (resources.files("eccmgr.redis") / "lua").iterdir():
        for sharded in (False, True):
            script(file.name.removesuffix(".lua"), sharded=sharded)


_OF_ERAS = frozenset({"join", "renew"})
"""Scripts that begin with `eras.lua` too, beside all that are called `vip_…`."""


@cache
def script(name: str, *, sharded: bool = False) -> Script:
    """The script in `lua/NAME.lua`; where `sharded`, it sends messages as a Redis Cluster wants them."""
    folder = resources.files("eccmgr.redis") / "lua"
    parts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in _parts(name)]
    source = "\n".join((f"local PUBLISH = '{'SPUBLISH' if sharded else 'PUBLISH'}'", *parts))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def _parts(name: str) -> tuple[str, ...]:
    return ("prologue", "eras", name) if name in _OF_ERAS or name.startswith("vip_") else ("prologue", name)
