"""A cache of parsed Sieve scripts, and a check of scripts before they are used."""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

from eccmgr.modules import Answer, CommandError, Context, Module, OptionSpec, OptionType, Rest, Takes, command
from eccmgr.text.counting import counted
from worker.modules.sieve_cache import Cache, SieveScript
from worker.modules.sieve_scripts import NoScript, name_within, parse, read_within, scripts_in

PHASES = ("connect", "ehlo", "mailfrom", "rcptto", "data", "each_rcpt", "spool", "rewrite")
"""The phases in the life of a message in which a script may run."""

T = TypeVar("T")
_SHOWN_MAX = 1000
_WAITING_MAX = 16


class ScriptThread:
    """The one thread in which scripts are read and parsed: slow scripts must take no thread of the daemon."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "sieve")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` once the earlier work is done. Raises CommandError if too much work waits."""
        if self._waiting >= _WAITING_MAX:
            raise CommandError(f"{_WAITING_MAX} scripts wait already; try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1


_thread = ScriptThread()


class Sieve(Module):
    """The scripts of one folder, parsed when they are first needed."""

    scope = "sieve"
    brief = "a cache of parsed Sieve scripts"
    options = (
        OptionSpec("script_dir", OptionType.PATH, "/etc/sieve", "the folder of the scripts", locked=True),
        OptionSpec(
            "cache_size",
            OptionType.INTEGER,
            "1000",
            "the most scripts that are kept; the least recently used goes first",
            1,
            100_000,
        ),
        OptionSpec(
            "cache_life",
            OptionType.SECONDS,
            "600",
            "seconds for which a script is kept, even if its file changes; 0 is until it is flushed",
            0,
            1e9,
        ),
        OptionSpec("script_max_bytes", OptionType.BYTES, "256KiB", "the longest script that is parsed", 1, 1 << 20),
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = context.settings
        self._folder = Path(settings.text("script_dir") or "/")
        self._longest = settings.integer("script_max_bytes")
        self._cache = Cache(settings.integer("cache_size"), settings.seconds("cache_life"), time.monotonic)

    def _phases(self) -> Iterable[str]:
        return PHASES

    def _scripts(self) -> Iterable[str]:
        return scripts_in(self._folder, _SHOWN_MAX)

    @command("stats", "how the cache of scripts is used", idempotent=True, reads=True)
    async def stats(self) -> Answer:
        """`Entries: 3 of 1000`, and the counts since the start."""
        facts = self._cache.facts()
        lines = [f"Entries: {facts['entries']} of {facts['size']}"]
        lines += [f"{name.capitalize()}: {facts[name]}" for name in ("hits", "misses", "expired", "evicted", "flushed")]
        return Answer("\n".join(lines), facts=facts)

    @command("flush cache", "forget every parsed script")
    async def flush(self) -> Answer:
        """`flushed 3 entries from the script cache`."""
        number = self._cache.flush()
        text = f"flushed {counted(number, 'entry', 'entries')} from the script cache"
        return Answer(text, facts={"flushed": number})

    @command("test", "parse a script that is typed on the line", idempotent=True, reads=True)
    async def test(self, phase: Annotated[str, Takes(choices=_phases)], script: Rest) -> str:
        """`ok: 2 commands`, or the fault and its place."""
        _check_phase(phase)
        if len(script.encode("utf-8", "replace")) > self._longest:
            raise CommandError(f"The script is longer than {self._longest} bytes (script_max_bytes)")
        return _verdict(await _thread.run(partial(parse, script)))

    @command("testfile", "parse a script of the folder, through the cache", idempotent=True, reads=True)
    async def testfile(
        self, phase: Annotated[str, Takes(choices=_phases)], file: Annotated[str, Takes(choices=_scripts)]
    ) -> str:
        """Test the script in a FILE of `script_dir`, as `test` does."""
        _check_phase(phase)
        try:
            name = name_within(self._folder, file)
            if (script := self._cache.get(name)) is None:
                text = await _thread.run(partial(read_within, self._folder, name, self._longest))
                if text is None:
                    raise CommandError(f"The script is longer than {self._longest} bytes (script_max_bytes)")
                script = await _thread.run(partial(parse, text))
                self._cache.put(name, script)
        except NoScript as error:
            self.log.info("no script", file=file[:200], reason=str(error))
            raise CommandError(f"There is no readable script '{file[:200]}' in {self._folder}") from None
        return _verdict(script)


def _check_phase(phase: str) -> None:
    if phase.lower() not in PHASES:
        raise CommandError(f"Unknown phase '{phase[:80]}'; there are {', '.join(PHASES)}")


def _verdict(script: SieveScript) -> str:
    if script.fault:
        raise CommandError(script.fault)
    return f"ok: {counted(script.commands, 'command')}"
