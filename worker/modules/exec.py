"""Programs as commands, from an allow-list and without a shell."""

import functools
import grp
import os
import pwd
import shutil
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Command, Param
from eccmgr.config.live.effective import ScopeView
from eccmgr.errors import UsageError
from eccmgr.modules import Answer, Call, CommandError, ConfigError, Context, Module, OptionSpec, OptionType, Status
from eccmgr.text import words
from eccmgr.text.counting import counted
from eccmgr.text.patterns import PatternError
from worker.isolation import CLEAN
from worker.modules.exec_arguments import ArgumentRule
from worker.modules.exec_program import CannotRun, Ended, Program, RunsAs, run

_ARGUMENTS_MAX = 32
_ARGUMENT_MAX = 1024


@dataclass(frozen=True)
class AllowedProgram:
    """One command: the program with its own arguments, and the rule for the caller's arguments; None if none are
    allowed."""

    name: str
    words: tuple[str, ...]
    rule: ArgumentRule | None
    long: bool

    def with_arguments(self, typed: str) -> tuple[str, ...]:
        """The program line with the typed arguments. Raises CommandError for arguments that are not allowed."""
        more = tuple(word.text for word in words.split(typed))
        if not more:
            return self.words
        if self.rule is None:
            raise UsageError(f"{self.name} takes no arguments")
        if len(more) > _ARGUMENTS_MAX:
            raise CommandError(f"{self.name} takes at most {_ARGUMENTS_MAX} arguments")
        for argument in more:
            long = f"an argument has at most {_ARGUMENT_MAX} characters" if len(argument) > _ARGUMENT_MAX else ""
            if fault := long or self.rule.fault_of(argument):
                raise CommandError(f"{self.name} does not take '{argument[:80]}'; {fault}")
        return (*self.words, *more)


class Exec(Module):
    """The programs that its scope lists, and no others."""

    scope = "exec"
    brief = "programs of this host as commands"
    locked = True
    options = (
        OptionSpec("commands", OptionType.DICTIONARY, None, "each command and its program line"),
        OptionSpec(
            "arguments",
            OptionType.DICTIONARY,
            None,
            "the regular expression that an added argument must fit; an option, an alternative that begins with -",
        ),
        OptionSpec("long", OptionType.LIST, None, "the commands that run as jobs"),
        OptionSpec("user", OptionType.TEXT, None, "the user that they run as; the node's if not set"),
        OptionSpec("directory", OptionType.PATH, "/", "the folder in which they run"),
        OptionSpec("time_limit", OptionType.SECONDS, "30", "seconds; jobs have job_timeout", 0.1, 86400),
        OptionSpec("output_limit", OptionType.BYTES, "1MiB", "how much of the output is kept", 1, 64 << 20),
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        settings = context.settings
        self._entries = _entries(settings)
        self._identity = _identity(settings.text("user"))
        self._folder = settings.text("directory") or "/"
        self._time_limit_s = settings.seconds("time_limit")
        self._output_limit = settings.integer("output_limit")

    @classmethod
    def check(cls, settings: ScopeView) -> None:
        """Check that every program exists, and that every name can be a command."""
        _entries(settings)
        _identity(settings.text("user"))

    def commands(self) -> Iterable[Command]:
        """A command for each entry."""
        for entry in self._entries:
            params = (Param("ARGUMENTS", optional=True, rest=True),) if entry.rule else ()
            name, brief = f"{self.context.name} {entry.name}", f"runs {_shown(entry.words)}"
            yield Command(name, brief, functools.partial(self._run, entry), params, long=entry.long)

    async def _run(self, entry: AllowedProgram, call: Call) -> Answer:
        line = entry.with_arguments(call.args[0] if call.args else "")
        self.log.info("program started", line=_shown(line)[:200], user=call.caller.user)
        program = Program(line, self._folder, self._identity, self._output_limit)
        limit_s = None if entry.long else self._time_limit_s
        try:
            ended = await run(program, limit_s)
        except CannotRun as error:
            raise CommandError(str(error)) from None
        if ended.unending:
            self.log.warning("processes cannot be ended", line=_shown(line)[:200])
        return _answer(ended, limit_s)


def _shown(line: Iterable[str]) -> str:
    """A program with its arguments, without the secrets among them."""
    return without_secrets(" ".join(map(words.quote, line)))


def _answer(ended: Ended, limit_s: float | None) -> Answer:
    lines = [ended.output.rstrip("\n")] if ended.output.strip("\n") else []
    if ended.dropped:
        lines.append(f"(cut: {ended.dropped} bytes more)")
    if ended.left:
        lines.append(f"(ended: {counted(ended.left, 'process', 'processes')} that it left running)")
    if ended.code is None:
        lines.append(f"ended: it took more than {limit_s:g} s")
    elif ended.code < 0:
        lines.append(f"ended by signal {-ended.code}{_name_of(-ended.code)}")
    elif ended.code:
        lines.append(f"exit code {ended.code}")
    return Answer("\n".join(lines), Status.ERROR if ended.code != 0 else Status.OK, facts={"exit_code": ended.code})


def _name_of(number: int) -> str:
    """The name of a signal, in brackets; '' for a signal without a name, such as a real-time one."""
    known = number in set(map(int, signal.Signals))
    return f" ({signal.Signals(number).name})" if known else ""


def _entries(settings: ScopeView) -> tuple[AllowedProgram, ...]:
    commands = settings.pairs("commands")
    patterns, long = settings.pairs("arguments"), settings.items("long")
    if not commands:
        raise ConfigError('no commands, expected commands = [ NAME = "PROGRAM ARGUMENT …" ]')
    for option, names in (("arguments", patterns), ("long", long)):
        if unknown := sorted(set(names) - set(commands)):
            raise ConfigError(f"{option} names '{unknown[0]}', which is not a command; there are {', '.join(commands)}")
    return tuple(_entry(name, line, patterns.get(name), name in long) for name, line in commands.items())


def _entry(name: str, line: str, pattern: str | None, long: bool) -> AllowedProgram:
    try:
        given = tuple(word.text for word in words.split(line))
    except UsageError as error:
        raise ConfigError(f"{name}: {error}") from None
    if not given:
        raise ConfigError(f"{name}: no program, expected a program and its arguments")
    if "\0" in line:
        raise ConfigError(f"{name}: a program line has no NUL")
    if "/" in given[0] and not os.path.isabs(given[0]):  # noqa: PTH117
        # Such a path would depend on the folder in which the node was started.
        raise ConfigError(f"{name}: '{given[0]}' is relative, expected an absolute path or a name in {CLEAN['PATH']}")
    program = shutil.which(given[0], path=CLEAN["PATH"])
    if program is None:
        raise ConfigError(f"{name}: no program '{given[0]}' on this host; a name is looked up in {CLEAN['PATH']}")
    try:
        rule = ArgumentRule.parse(pattern) if pattern is not None else None
    except PatternError as error:
        raise ConfigError(f"arguments of {name}: '{pattern}' is not a regular expression: {error}") from None
    # The path is not resolved, because a program may behave by the name with which it is called.
    return AllowedProgram(name, (program, *given[1:]), rule, long)


def _identity(user: str | None) -> RunsAs | None:
    """The user for the programs. Raises ConfigError if there is no such user, or if this process may not become that
    user."""
    if user is None:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"no user '{user}' on this host") from None
    if os.geteuid() == entry.pw_uid:
        return None
    if os.geteuid() != 0:
        raise ConfigError(f"only a node that runs as root can run programs as '{user}'")
    groups = [group.gr_gid for group in grp.getgrall() if user in group.gr_mem]
    return RunsAs(entry.pw_uid, entry.pw_gid, tuple(groups), entry.pw_dir)
