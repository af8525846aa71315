"""The Lua scripts: loads them, calls them by their sha or else by their text, and reads their replies."""

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
from eccmgr.redis.reading import WRONG_KIND
from eccmgr.redis.wire import Argument

SendWords = Callable[..., Awaitable[Any]]
"""Sends one command, given as its words; answers the server's reply."""

RawReply = Sequence[Any]
"""A script's reply, a list that was not read yet."""

ReadAs = TypeVar("ReadAs", covariant=True)
AnyVerdict = TypeVar("AnyVerdict", bound=enum.StrEnum)

_FOLDER = resources.files("eccmgr.redis") / "lua"


@dataclass(frozen=True)
class Script:
    """One `.lua` file, preceded by the parts that it needs."""

    name: str
    source: str
    sha: str

    async def __call__(self, call: SendWords, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script once by `call`. If the server does not know the sha, the script has not run, and its text is
        sent."""
        try:
            return await call("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await call("EVAL", self.source, len(keys), *keys, *args)


class ScriptCall(NamedTuple, Generic[ReadAs]):
    """One call of a script: the words to send, and the way to read the reply.

    For each script, one function makes its calls. Any sender reads the reply by `answer`, whatever the connection.
    """

    script: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    read: Callable[[Any], ReadAs]

    def answer(self, reply: Any) -> ReadAs:
        """The value of `reply`. Raises Unreadable if the script cannot have replied this."""
        try:
            return self.read(reply)
        except WRONG_KIND as error:
            text = f"The cluster's state in Redis cannot be read: {error} ({self.script})"
            raise Unreadable(text) from error


def verdicts(kind: type[AnyVerdict]) -> Callable[[bytes], AnyVerdict]:
    """A function that reads the scripts' verdicts of `kind`; it raises KeyError."""
    return {verdict.value.encode(): verdict for verdict in kind}.__getitem__


def load_all() -> None:
    """Read every script now: no event loop should wait for the disk later."""
    for name in names():
        for sharded in (False, True):
            script(name, sharded=sharded)


def names() -> list[str]:
    """The names of all scripts."""
    return sorted(file.name.removesuffix(".lua") for file in _FOLDER.iterdir() if file.name.endswith(".lua"))


@cache
def script(name: str, *, sharded: bool = False) -> Script:
    """The script in `lua/NAME.lua`. If `sharded`, it sends messages in the way of a Redis Cluster."""
    own = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    needed = re.search(r"^-- NEEDS +(.*)$", own, re.MULTILINE)
    parts = [] if needed is None or needed[1] == "nothing" else needed[1].split()
    needed_sources = [(_FOLDER / "parts" / f"{part}.lua").read_text(encoding="utf-8") for part in parts]
    source = "\n".join((f"local PUBLISH = '{'SPUBLISH' if sharded else 'PUBLISH'}'", *needed_sources, own))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())
