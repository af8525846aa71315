"""The Lua scripts: loads them, calls them by their sha (whole if the server does not have it), and reads their
replies."""

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
"""Sends one command, given as its words; answers the server's answer."""

RawReply = Sequence[Any]
"""A list that a script answers, before it is read."""

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
        """Run the script once by `call`. A script that the server does not know has not run, and is sent whole."""
        try:
            return await call("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await call("EVAL", self.source, len(keys), *keys, *args)


class ScriptCall(NamedTuple, Generic[ReadAs]):
    """One call of a script: the words to send, and how to read the reply.

    One function for each script makes it. The sender, on whatever connection, reads the reply by `answer`.
    """

    script: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    read: Callable[[Any], ReadAs]

    def answer(self, reply: Any) -> ReadAs:
        """The value of `reply`. Raises Unreadable if no script of ours replies like this."""
        try:
            return self.read(reply)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            text = f"What Redis keeps of the cluster's state cannot be read: {error} ({self.script})"
            raise Unreadable(text) from error


def verdicts(kind: type[AnyVerdict]) -> Callable[[bytes], AnyVerdict]:
    """A reader for verdicts of `kind` in the form of the scripts; it raises KeyError."""
    return {verdict.value.encode(): verdict for verdict in kind}.__getitem__


def load_all() -> None:
    """Read every script now, so that no event loop waits for the disk later."""
    for name in names():
        for sharded in (False, True):
            script(name, sharded=sharded)


def names() -> list[str]:
    """The names of all scripts."""
    return sorted(file.name.removesuffix(".lua") for file in _FOLDER.iterdir() if file.name.endswith(".lua"))


@cache
def script(name: str, *, sharded: bool = False) -> Script:
    """The script in `lua/NAME.lua`; if `sharded`, it sends messages in the way of a Redis Cluster."""
    own = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    needed = re.search(r"^-- NEEDS +(.*)$", own, re.MULTILINE)
    parts = [] if needed is None or needed[1] == "nothing" else needed[1].split()
    before = [(_FOLDER / "parts" / f"{part}.lua").read_text(encoding="utf-8") for part in parts]
    source = "\n".join((f"local PUBLISH = '{'SPUBLISH' if sharded else 'PUBLISH'}'", *before, own))
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())
