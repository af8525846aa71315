"""The one table of commands: it feeds dispatch, `help`, usage errors and completion.

A command has a name of one or more words (`subcluster broadcast`), parameters, and an async handler. Names match
without regard to case and are never abbreviated.
"""

import enum
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.commands.answer import Answer, Facts
from eccmgr.commands.caller import Caller
from eccmgr.commands.carried import carried
from eccmgr.commands.danger import Danger
from eccmgr.commands.unknown import unknown
from eccmgr.errors import CommandError, NotAvailable, UsageError
from eccmgr.text import words
from eccmgr.text.long_lines import off_loop


@dataclass(frozen=True)
class Call:
    """One command to run: its arguments in the order of its parameters (an optional one may be missing)."""

    args: tuple[str, ...]
    caller: Caller
    text: str
    carry: Callable[[str], str] = field(default=carried, compare=False)
    """Checks the command that this command carries, and returns it in the form to send. Raises CommandError if the
    caller may not send it."""

    def progress(self, percent: float) -> None:
        """Report the part of a long command that is done, in percent."""
        self.caller.progress(percent)


CHOICES_TOLD = 200
"""The JSON form of `help` has at most so many words for a parameter."""
Handler = Callable[[Call], Awaitable[Answer | str]]
Saying = Callable[[], str]


@dataclass(frozen=True)
class Param:
    """A parameter: its name in the usage line, and the kind of its values (`kind`, for completion).

    A parameter with `rest`, which must be the last one, takes all the following text exactly as typed. `choices` gives
    further words for completion.
    """

    name: str
    kind: str = ""
    optional: bool = False
    rest: bool = False
    choices: Callable[[], Iterable[str]] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"[{self.name}]" if self.optional else self.name


COMMAND = Param("COMMAND", kind="node command", rest=True)
"""A command for nodes, passed on exactly as typed."""


class Carries(enum.Enum):
    """The place where a carried command runs."""

    FOR_NODES = "for nodes"
    """On the nodes that it is sent to."""
    FOR_ITSELF = "for itself"
    """In this process, later."""


@dataclass(frozen=True)
class Command:
    """One entry of the table.

    `brief` is its line in `help`, and `about` is what `help COMMAND` adds. An `idempotent` command is harmless if run
    twice, so a node may answer it without a claim. A command with a `refusal` answers nothing else, and `help` leaves
    it out. A `long` command becomes a job on a node: it may take `timeout_s`, and if its process dies it is tried again
    up to `retries` times. A command with `danger` disturbs or destroys work in progress: `help` warns of it, a console
    asks before it, and it is never suggested. `reads`: it changes nothing, so that a read-only console may send it; if
    that is not said, an idempotent command changes nothing, and any other may. `say` gives an immediate answer, which
    needs no task. A command that `carries` another one passes that through the gate too (`Call.carry`). A command that
    `is_open` answers unknown callers. The answer of a `heavy` command may take much memory, so few of them run at a
    time.
    """

    name: str
    brief: str
    handler: Handler
    params: tuple[Param, ...] = ()
    about: str = ""
    idempotent: bool = False
    refusal: str = ""
    long: bool = False
    danger: Danger = Danger.NONE
    reads: bool | None = None
    retries: int = 0
    timeout_s: float | None = None
    say: Saying | None = None
    carries: Carries | None = None
    is_open: bool = False
    heavy: bool = False

    @property
    def usage(self) -> str:
        """The one-line usage, without `Usage:`."""
        return " ".join((self.name, *map(str, self.params)))

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return not (self.idempotent if self.reads is None else self.reads)

    def parse(self, line: str, at: int) -> tuple[str, ...]:
        """Parse the arguments in `line` from `at` on. Raises UsageError if they do not fit the parameters."""
        args: list[str] = []
        for param in self.params:
            remaining = words.rest(line, at)
            if not remaining:
                if param.optional:
                    break
                raise UsageError(f"Usage: {self.usage}")
            if param.rest:
                return (*args, remaining)
            word = words.next_word(line, words.skip_space(line, at))
            args.append(word.text)
            at = word.end
        if words.rest(line, at):
            raise UsageError(f"Usage: {self.usage}")
        return tuple(args)


def prompt(
    name: str, brief: str, say: Saying, *, is_open: bool = False, facts: Callable[[], Facts] | None = None
) -> Command:
    """A command without parameters that changes nothing, and whose answer is immediate; `facts` gives its fields."""

    async def answer(_call: Call) -> Answer:
        return Answer(say(), facts=facts() if facts is not None else {})

    return Command(name, brief, answer, idempotent=True, say=say, is_open=is_open)


def refused(name: str, refusal: str = "") -> Command:
    """A command that is known but does not run here; by default because this release does not have it yet."""
    refusal = refusal or f"{name} is not available yet in this release"

    async def refuse(_call: Call) -> str:
        raise NotAvailable(refusal)

    return Command(name, "", refuse, (Param("WORDS", optional=True, rest=True),), idempotent=True, refusal=refusal)


@dataclass
class Table:
    """The commands of one program, found by the words they begin with."""

    commands: dict[str, Command] = field(default_factory=dict)
    fallback: Command | None = None
    """The command that gets the whole line if the line is not a command of this table."""
    no_module: Callable[[str], CommandError | None] = lambda _first: None
    """The error for an unknown command if its first word could name a module; else None."""
    elsewhere: Callable[[Sequence[str]], str] = lambda _typed: ""
    """The text for a command of the other kind of daemon, given the line's first words; "" for any other line."""
    on_change: Callable[[], None] = lambda: None
    """Called after a command was added or removed."""
    _longest: int = 0
    """The number of words in the longest name."""

    def add(self, *commands: Command) -> None:
        """Add `commands`. Raises ValueError if a name is taken, which is a fault of the program."""
        for command in commands:
            key = command.name.lower()
            if key in self.commands:
                raise ValueError(f"two commands are named {command.name}")
            self.commands[key] = command
            self._longest = max(self._longest, len(key.split()))
        self.on_change()

    def remove(self, *commands: Command) -> None:
        """Remove `commands`."""
        for command in commands:
            del self.commands[command.name.lower()]
        self.on_change()

    def find(self, line: str) -> tuple[Command, int]:
        """Find the command that `line` begins with (the longest name wins), and the offset of its arguments.

        Raises CommandError, with a suggestion, if there is no such command.
        """
        try:
            best = self._best(line)
        except UsageError:
            if self.fallback is None:
                raise
            best = None
        if best is None and (helped := self._help_of_family(line)) is not None:
            return helped, len(line)
        if self.fallback is not None and line.strip() and (best is None or best[0].refusal):
            return self.fallback, 0
        if best is None:
            typed = [word.text for word in _first_words(line, self._longest)]
            dangers = {command.name: bool(command.danger) for command in self.listed()}
            raise unknown(typed, dangers, self.no_module, self.elsewhere)
        return best

    def _best(self, line: str) -> tuple[Command, int] | None:
        # Monitoring sends just the name, all day.
        if (whole := self.commands.get(line.lower())) is not None:
            return whole, len(line)
        typed = list(_first_words(line, self._longest))
        command, named = self.named([word.text for word in typed])
        return None if command is None else (command, typed[named - 1].end)

    def named(self, typed: Sequence[str]) -> tuple[Command | None, int]:
        """The command whose name the words `typed` begin with (the longest wins), and the number of its words."""
        words_of_name = leading_words(typed, self._longest)
        for length in range(len(words_of_name), 0, -1):
            if (command := self.commands.get(" ".join(words_of_name[:length]))) is not None:
                return command, length
        return None, 0

    def _help_of_family(self, line: str) -> Command | None:
        """The command for `sieve:sieve1 help`, which means `help sieve:sieve1`, if commands begin with those words."""
        family, _, last = words.fold(line).lower().rpartition(" ")
        begins = (f"{family} ", f"{family}:")
        if (
            last != "help"
            or not family
            or not any(command.name.lower().startswith(begins) for command in self.listed())
        ):
            return None
        return prompt(f"{family} help", "the commands that begin so", lambda: describe(self, family))

    def listed(self) -> list[Command]:
        """The commands that run here, sorted by name."""
        return [self.commands[key] for key in sorted(self.commands) if not self.commands[key].refusal]

    def first_words(self) -> list[str]:
        """The first words of the commands that run here."""
        return sorted({command.name.split()[0] for command in self.listed()})


def leading_words(typed: Sequence[str], longest: int) -> list[str]:
    """The words that `typed` begins with, in small letters, as far as they may be the name of a command.

    No word of a name is empty, or holds a blank.
    """
    return [word.lower() for word in itertools.takewhile(lambda word: word.split() == [word], typed[:longest])]


def _first_words(line: str, number: int) -> Iterator[words.Word]:
    """The first `number` words of `line`. Raises UsageError if the very first one is broken."""
    offset = 0
    for left in range(number, 0, -1):
        if (offset := words.skip_space(line, offset)) == len(line):
            return
        try:
            word = words.next_word(line, offset)
        except UsageError:
            # Behind a command's name, a single quote may belong to the text that the command passes on.
            if left == number:
                raise
            return
        yield word
        offset = word.end


Topic = Callable[[list[str]], str]
"""Gives the help for the words behind a topic. Raises CommandError if there is no help for them."""


def help_command(table: Table, topics: Mapping[str, Topic] | None = None) -> Command:
    """The `help` of `table`; `topics` maps a first word to the help on further words (`help config cluster`)."""

    async def show(call: Call) -> Answer:
        if call.args:
            return Answer(await off_loop(explain, call.args[0]))
        return Answer(overview(table), facts={"commands": [command_facts(command) for command in table.listed()]})

    def explain(typed: str) -> str:
        first, *more = (word.text for word in words.split(typed))
        topic = (topics or {}).get(first.lower())
        if topic is not None and more and f"{first} {more[0]}".lower() not in table.commands:
            return topic(more)
        return describe(table, typed)

    return Command(
        "help",
        "every command with its brief usage; or the usage of one",
        show,
        (Param("COMMAND", kind="command", optional=True, rest=True),),
        idempotent=True,
    )


def overview(table: Table) -> str:
    """The commands that run here, one line each."""
    listed = table.listed()
    width = max(len(command.usage) for command in listed)
    width = min(width, 38)
    lines = [f"{command.usage:<{width}}  {command.brief}" for command in listed]
    if table.fallback is not None:
        lines.append(f"{'anything else':<{width}}  {table.fallback.name}: {table.fallback.brief}")
    return "\n".join(lines)


def command_facts(command: Command) -> Facts:
    """The fields of one command in the JSON form of `help`. A console makes its hints and completion of them."""
    return {
        "name": command.name,
        "usage": command.usage,
        "brief": command.brief,
        "danger": command.danger.name.lower(),
        "changes": command.changes,
        "params": [
            {
                "name": param.name,
                "kind": param.kind,
                "optional": param.optional,
                "rest": param.rest,
                "words": list(itertools.islice(param.choices(), CHOICES_TOLD)) if param.choices else [],
            }
            for param in command.params
        ],
    }


def describe(table: Table, name: str) -> str:
    """Usage and description of one command, or of each command of a family (`cluster`)."""
    folded = words.fold(name).lower()
    family = (f"{folded} ", f"{folded}:")
    described = [c for c in table.listed() if c.name.lower() == folded or c.name.lower().startswith(family)]
    if not described:
        command, _ = table.find(name)
        if command.refusal:
            raise NotAvailable(command.refusal)
        described = [command]
    return "\n\n".join(_description(command) for command in described)


def _description(command: Command) -> str:
    text = f"Usage: {command.usage}\n  {command.brief}"
    text += "\n  It becomes a job: retrieve shows its progress, then its result." if command.long else ""
    text += "\n  Dangerous: it disturbs or destroys work in progress." if command.danger else ""
    return f"{text}\n\n{command.about}" if command.about else text
