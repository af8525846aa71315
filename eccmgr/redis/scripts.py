"""The Lua scripts: loaded, called by their sha (whole where the server has forgotten it), and their replies read."""

import enum
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any, Generic, NamedTuple, TypeVar

from redis.exceptions import NoScriptError

from eccmgr.errors import Unreadable
from eccmgr.redis.wire import Argument

SendWords = Callable[..., Awaitable[Any]]
"""Sends one command, given as its words, and answers what the server answers."""

ReadAs = TypeVar("ReadAs", covariant=True)
AnyVerdict = TypeVar("AnyVerdict", bound=enum.StrEnum)

_FOLDER = resources.files("eccmgr.redis") / "lua"


@dataclass(frozen=True)
class Script:
    """One `.lua` file, with the parts that it needs before it."""

    name: str
    source: str
    sha: str

    async def __call__(self, call: SendWords, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script once by `call`; a script that the server does not know has not run, and is sent whole."""
        try:
            return await call("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await call("EVAL", self.source, len(keys), *keys, *args)


class ScriptCall(NamedTuple, Generic[ReadAs]):
    """One call of a script: what is sent, and how the reply is read.

    One function for each script makes it. Whoever sends it, on whatever connection, reads the reply by `answer`.
    """

    script: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    read: Callable[[Any], ReadAs]

    def answer(self, reply: Any) -> ReadAs:
        """What `reply` says. Raises Unreadable where no script of ours answers so."""
        try:
            return self.read(reply)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            text = f"What Redis keeps of the cluster's state cannot be read: {error} ({self.script})"
            raise Unreadable(text) from error


def verdicts(kind: type[AnyVerdict]) -> Callable[[bytes], AnyVerdict]:
    """Reads a verdict of `kind` as the scripts answer it. Raises KeyError."""
    return {verdict.value.encode(): verdict for verdict in kind}.__getitem__


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
