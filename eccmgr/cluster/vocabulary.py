"""The vocabulary: the first words of the commands that not every node has. Live nodes state them, and managers read
them.

A manager does not know the modules of its nodes. It looks here to tell a command from a mistyped target. Nodes also
state here which commands of their modules are dangerous (`eccmgr/commands/told_dangers.py`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from eccmgr.cluster.calls import commands
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.errors import EccmgrError
from eccmgr.redis import replies
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

log = structlog.get_logger()

_SAY_EVERY_S = 300.0
_COUNTS_FOR_S = 3 * _SAY_EVERY_S
_RETRY_S = 5.0
_WORDS_OF_ONE = 500
_WORDS_MAX = 10_000
_LONGEST = 128


class Vocabulary:
    """States one node's own words while the node runs."""

    def __init__(
        self, link: Link, keys: Keys, options: ClusterOptions, session: Session, words: Callable[[], Iterable[str]]
    ) -> None:
        self._link = link
        self._keys = keys
        self._options = options
        self._session = session
        self._words = words
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """The words have changed, or the cluster may have lost them: state them soon."""
        self._changed.set()

    async def run(self) -> None:
        """State the words at once, after each change, and at intervals, until cancelled."""
        while True:
            await self._session.joined.wait()
            pause_s = _SAY_EVERY_S
            self._changed.clear()
            try:
                await self._say()
            except EccmgrError as error:
                log.debug("vocabulary not said", reason=str(error))
                pause_s = _RETRY_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()

    async def _say(self) -> None:
        words = sorted({word.lower()[:_LONGEST] for word in self._words()})[:_WORDS_OF_ONE]
        if words:
            await self._link.run(commands.say_words(self._keys, self._options, words, _COUNTS_FOR_S, _WORDS_MAX))


async def read_vocabulary(link: Link, keys: Keys) -> frozenset[str]:
    """The words that live nodes have stated, in small letters. Raises RedisUnreachable."""
    stated = replies.texts(await link.call("ZRANGE", keys.vocabulary, 0, _WORDS_MAX))
    return frozenset(word.decode(errors="replace") for word in stated)
