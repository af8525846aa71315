"""The `config` commands over one store: their entries in the table, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eccmgr.commands.answer import Answer, Format
from eccmgr.commands.config_facts import located_facts, option_facts, places_facts, scope_facts, whole_facts
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Command, Param
from eccmgr.config.files.writeback import Written, as_text
from eccmgr.config.live.effective import evaluate
from eccmgr.config.live.transaction import ConfigSession, Typed
from eccmgr.config.schema import paths, printing
from eccmgr.config.schema.check import check_setting
from eccmgr.config.schema.masking import MASK, is_secret, masked
from eccmgr.config.schema.reference import help_text
from eccmgr.config.schema.unknown import check_known
from eccmgr.config.syntax.changes import Action, Change
from eccmgr.config.syntax.tree import path_text
from eccmgr.config.syntax.values import in_style_of
from eccmgr.errors import CommandError, UsageError
from eccmgr.text import words
from eccmgr.text.counting import counted
from eccmgr.text.long_lines import off_loop
from eccmgr.text.patterns import Pattern, PatternError

if TYPE_CHECKING:
    from eccmgr.commands.caller import Caller
    from eccmgr.commands.table import Call
    from eccmgr.config.live.store import Store


Said = Answer | str

_OPTION = Param("[SCOPE [NAME]]… OPTION", "config path", rest=True)
_SETTING = Param("[SCOPE [NAME]]… OPTION [=] VALUE", "config path", rest=True)
_TO_UNSET = Param("[SCOPE [NAME]]… OPTION | SCOPE [NAME]", "config path", rest=True)
_SCOPE = Param("SCOPE [NAME]…", "config path", optional=True, rest=True)
_KNOWN = Param("SCOPE… [OPTION]", "config path", optional=True, rest=True)
_TO_LOCATE = Param("SCOPE", "config path"), Param("REGEX", optional=True)
_SCRATCH = Param("from scratch", "config path", optional=True, rest=True)
_FILE = Param("PATH", "path", optional=True)
_FORCE = Param("--force", "config path", optional=True)
_DANGEROUS = frozenset({"reload", "rollback", "unset"})

_ABOUT = {
    "eval": "Looks in the named scope, then in those around it, then for the default.",
    "set": "A missing scope is made. The value follows the =, quoted as in a file, or as words. Without a = only an "
    "option that is known, or set already, can be set. A locked option changes only in files.",
    "unset": "An option falls back to the value of an enclosing scope, or to its default.",
    "showrecurse": "Secrets are hidden; the output can be read as a file.",
    "locate": "REGEX is searched in the names of the scopes.",
    "begin": "From then on this session alone sees its changes, until it commits them or rolls them back. They are "
    "lost with its connection, which is closed after an hour without a command. From scratch only the locked options "
    "stay.",
    "commit": "Of two transactions that change the same option the first one wins; the other stays open.",
    "reload": "On any fault the running configuration stays as it is. PATH, a file beside the main file, becomes the "
    "main file; it must have the same locked options.",
    "writeback": "Comments, blank lines and the order of unchanged items are kept. PATH limits this to one file, or "
    "names a new file beside the main file for the whole configuration; --force overwrites a file that others changed.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One `config` command: the text behind its name, the words of that text, the whole line, and its caller."""

    operands: str
    words: tuple[str, ...]
    line: str
    usage: str
    session: ConfigSession
    lasts: bool
    user: str
    reveal: bool
    structured: bool = False
    """Whether the answer needs fields."""


def commands(
    store: Store,
    session_of: Callable[[Caller], ConfigSession | None],
    may_reveal: Callable[[Caller], bool] = lambda _: False,
) -> tuple[Command, ...]:
    """The `config` commands, for a daemon's table.

    `session_of` gives the configuration's part of a caller's console session, which holds the transaction; it is the
    same object for all commands of that session, and None for a caller without one. `may_reveal` tells whether a
    caller may see secrets. A command that only reads the configuration does so in a thread, since the configuration
    may be large.
    """
    answers = _Answers(store)

    def reading(name: str, brief: str, answer: Callable[[Asked], Said], *operands: Param) -> Command:
        async def in_thread(asked: Asked) -> Said:
            return await asyncio.to_thread(answer, asked)

        return replace(command(name, brief, in_thread, *operands), idempotent=True, heavy=True)

    def command(name: str, brief: str, answer: Callable[[Asked], Awaitable[Said]], *operands: Param) -> Command:
        usage = " ".join(("Usage: config", name, *map(str, operands)))

        async def handle(call: Call) -> Said:
            session, reveal = session_of(call.caller), may_reveal(call.caller)
            return await answer(await off_loop(lambda _: _asked(call, usage, session, reveal), call.text))

        return Command(
            f"config {name}", brief, handle, operands, _ABOUT.get(name, ""), danger=Danger(name in _DANGEROUS)
        )

    return (
        reading("get", "an option that is set in this very scope", answers.get, _OPTION),
        reading(
            "eval", "the effective value: set here, else in a scope around it, else the default", answers.eval, _OPTION
        ),
        command("set", "sets an option, live only, until writeback", answers.set, _SETTING),
        command("unset", "unsets an option, or drops a scope and all in it", answers.unset, _TO_UNSET),
        reading("show", "the options of a scope, and the scopes in it in brief", answers.show, _SCOPE),
        reading("showrecurse", "a scope and all in it, as a file would have it", answers.show_recurse, _SCOPE),
        reading("locate", "the scopes of a kind whose names match, and their places", answers.locate, *_TO_LOCATE),
        command("begin", "opens a transaction of this session alone", answers.begin, _SCRATCH),
        reading("replay", "the commands of the open transaction, as typed", answers.replay),
        command("commit", "makes the open transaction live, all or nothing", answers.commit),
        command("rollback", "drops the open transaction", answers.rollback),
        command("reload", "reads the files again; unsaved changes are dropped", answers.reload, _FILE),
        command("writeback", "writes changes to the files they belong to", answers.write_back, _FILE, _FORCE),
        command("write", "another name for writeback", answers.write_back, _FILE, _FORCE),
        reading("help", "help on a scope or an option", answers.help, _KNOWN),
    )


def _asked(call: Call, usage: str, session: ConfigSession | None, reveal: bool) -> Asked:
    offset = 0
    for _ in ("config", "the command's own name"):
        offset = words.next_word(call.text, words.skip_space(call.text, offset)).end
    operands = words.rest(call.text, offset)
    try:
        given = tuple(word.text for word in words.split(operands))
    except UsageError:
        # The error does not repeat the text, which may hold a secret.
        raise UsageError(f"A quote is never closed. {usage}") from None
    lasts = session is not None
    structured, user = call.caller.form is not Format.TEXT, call.caller.user
    line = call.text.strip()
    return Asked(operands, given, line, usage, session or ConfigSession(), lasts, user, reveal, structured)


class _Answers:
    """The answers of the `config` commands. Each method raises UsageError, CommandError or ConfigError."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def here(self, asked: Asked) -> paths.Here:
        """The global scope of the tree that the command's session sees, where each path begins."""
        return paths.start(self.store.root(asked.session), self.store.schema)

    def get(self, asked: Asked) -> Said:
        place, option = paths.to_option(self.here(asked), asked.words)
        setting = place.scope.option(option) if place.scope else None
        if setting is None:
            raise CommandError(_not_set(place, option))
        spec = place.spec.option(option) if place.spec else None
        line = printing.option_line(setting.name, setting.value, spec, reveal=asked.reveal)
        return Answer(line, facts=option_facts(place.path, setting.name, setting.value, spec, reveal=asked.reveal))

    def eval(self, asked: Asked) -> Said:
        place, option = paths.to_option(self.here(asked), asked.words)
        line = self.effective(asked, place, option)
        if line is None:
            raise CommandError(_not_set(place, option))
        root = self.store.root(asked.session)
        found = evaluate(root, place.path, option, self.store.overrides, self.store.schema)
        if found is None:
            return line
        facts = option_facts(found.path, found.name, found.value, found.spec, reveal=asked.reveal)
        return Answer(line, facts={**facts, "origin": found.origin})

    def effective(self, asked: Asked, here: paths.Here, option: str) -> str | None:
        """The effective value of an option, as a line; None if the option has no value."""
        root = self.store.root(asked.session)
        effective = evaluate(root, here.path, option, self.store.overrides, self.store.schema)
        if effective is None:
            return None
        line = printing.option_line(effective.name, effective.value, effective.spec, reveal=asked.reveal)
        return f"{line}  # {effective.origin}" if effective.origin else line

    async def set(self, asked: Asked) -> Said:
        change, typed, answer = await asyncio.to_thread(self.setting, asked)
        await self.store.change(asked.session, asked.user, change, typed)
        return answer

    def setting(self, asked: Asked) -> tuple[Change, Typed, Answer]:
        """A `set` that was parsed: its change, the form in which it is shown to others, and its answer."""
        assignment = paths.to_assignment(self.here(asked), asked.operands)
        if assignment is None:
            raise UsageError(asked.usage)
        check_known(assignment, asked.operands)
        place, option, value_at, _ = assignment
        typed_value = asked.operands[value_at:]
        old = place.scope.option(option) if place.scope else None
        value = in_style_of(paths.value_of(typed_value), old.value if old else None)
        check_setting(self.store.schema, place.path, option, value)
        spec = place.spec.option(option) if place.spec else None
        secret = is_secret(option, spec) or masked(option, value, spec) != value
        shown = f"{asked.line[: -len(typed_value)].rstrip()} {MASK}" if secret else asked.line
        lines = [printing.option_line(option, value, spec, reveal=asked.reveal)]
        override = self.store.overrides.get(place.path, option)
        if override:
            lines.append(f"# {option} from {override.source} still holds")
        if spec and not spec.dynamic:
            lines.append(f"# {option} takes effect after a restart")
        facts = option_facts(place.path, option, value, spec, reveal=asked.reveal)
        answer = Answer("\n".join(lines), facts={**facts, "dynamic": spec is None or spec.dynamic})
        return Change(Action.SET, place.path, option, value), Typed(asked.line, shown), answer

    async def unset(self, asked: Asked) -> Said:
        if not any(asked.words):
            raise CommandError("The global scope cannot be unset")
        place, option, change = await asyncio.to_thread(self.unsetting, asked)
        await self.store.change(asked.session, asked.user, change, Typed(asked.line, asked.line))
        if change.action is Action.DROP:
            gone = path_text(change.path)
            return Answer(f"{printing.heading(change.path[-1])} has been unset.", facts={"scope": gone, "option": None})
        line = self.effective(asked, place, option)
        text = f'"{option}" has been unset. '
        text += f"Effective value is now:\n        {line}" if line else "It has no effective value now."
        return Answer(text, facts={"scope": path_text(place.path), "option": option, "effective": line})

    def unsetting(self, asked: Asked) -> tuple[paths.Here, str, Change]:
        """An `unset` that was parsed: its scope, its option, and its change."""
        place, option = paths.to_option(self.here(asked), asked.words)
        if place.scope is not None and place.scope.option(option) is not None:
            return place, option, Change(Action.UNSET, place.path, option)
        path = self.scope_to_unset(asked, _not_set(place, option)).path
        return place, option, Change(Action.DROP, path)

    def scope_to_unset(self, asked: Asked, not_set: str) -> paths.Here:
        """The one scope to drop. Raises CommandError if the words name no scope, or several."""
        try:
            meant = paths.to_scopes(self.here(asked), asked.words)
        except CommandError:
            raise CommandError(not_set) from None
        if not meant.found:
            raise CommandError(not_set)
        if meant.of_kind:
            names = ", ".join(printing.heading(scope.path[-1]) for scope in meant.found[:20])
            raise CommandError(f"Which one? Name the scope to unset: {names}")
        return meant.found[0]

    def scopes(self, asked: Asked) -> paths.Scopes:
        """The scopes that the operands name. Raises CommandError if there is no such scope."""
        meant = paths.to_scopes(self.here(asked), asked.words)
        if not meant.found:
            raise CommandError(f"No scope '{' '.join(asked.words)}'.")
        return meant

    def show(self, asked: Asked) -> Said:
        meant = self.scopes(asked)
        if meant.of_kind:
            text = "\n".join(f"{printing.heading(here.path[-1])} {{ ... }}" for here in meant.found)
            return Answer(text, facts=places_facts(meant.found))
        here = meant.found[0]
        if here.scope is None:
            return ""
        text = printing.show(here.scope, here.spec, reveal=asked.reveal)
        return Answer(text, facts=scope_facts(here.path, here.scope, here.spec, reveal=asked.reveal))

    def show_recurse(self, asked: Asked) -> Said:
        meant = self.scopes(asked)
        if not asked.words:
            root = self.store.root(asked.session)
            text = printing.show_recurse(root, self.store.schema, reveal=asked.reveal)
        else:
            text = "\n".join(
                printing.block(place.scope, place.spec, reveal=asked.reveal) for place in meant.found if place.scope
            )
        return Answer(text, facts=whole_facts(meant.found, reveal=asked.reveal) if asked.structured else {})

    def locate(self, asked: Asked) -> Said:
        kind, *pattern = asked.words
        try:
            fits = Pattern.parse(pattern[0]).is_in if pattern else _anything
        except PatternError as error:
            raise CommandError(f"'{pattern[0][:80]}' is not a regular expression: {error}") from None
        lines = printing.locate(self.store.root(asked.session), kind, fits)
        if not lines:
            fitting = f" that fits '{pattern[0]}'" if pattern else ""
            raise CommandError(f"No scope '{kind}'{fitting}.")
        root = self.store.root(asked.session)
        places = (path for path, scope in printing.walk(root) if scope.kind.lower() == kind.lower())
        return Answer("\n".join(lines), facts=located_facts(path for path in places if fits(path[-1].name or "")))

    async def begin(self, asked: Asked) -> Said:
        scratch = [word.lower() for word in asked.words]
        if scratch not in ([], ["from", "scratch"]):
            raise UsageError(asked.usage)
        if not asked.lasts:
            raise CommandError("A transaction belongs to a console's session; connect to this process itself")
        self.store.begin(asked.session, asked.user, scratch=bool(scratch))
        text = "Transaction begun from scratch" if scratch else "Transaction begun"
        return Answer(text, facts={"from_scratch": bool(scratch)})

    def replay(self, asked: Asked) -> Said:
        if asked.session.transaction is None:
            raise CommandError("No transaction is open")
        typed = [typed.text if asked.reveal else typed.masked for typed in asked.session.transaction.typed]
        return Answer("\n".join(typed), facts={"commands": typed})

    async def commit(self, asked: Asked) -> Said:
        changes = await self.store.commit(asked.session, asked.user)
        return Answer(f"Committed {counted(changes, 'change')}", facts={"changes": changes})

    async def rollback(self, asked: Asked) -> Said:
        dropped = self.store.rollback(asked.session)
        return Answer(f"Rolled back {counted(dropped, 'command')}", facts={"dropped": dropped})

    async def reload(self, asked: Asked) -> Said:
        path = asked.words[0] if asked.words else None
        dropped = await self.store.reload(asked.session, asked.user, path)
        text = "Reconfigured" + (f"; {counted(dropped, 'unsaved change')} dropped" if dropped else "")
        return Answer(text, facts={"dropped": dropped})

    async def write_back(self, asked: Asked) -> Said:
        operands = [word for word in asked.words if word != "--force"]
        force = len(operands) < len(asked.words)
        if len(operands) > 1:
            raise UsageError(asked.usage)
        if not operands:
            return self.written(asked, await self.store.write_back(force=force))
        if (path := self.store.loaded_path(operands[0])) is not None:
            return self.written(asked, await self.store.write_back(path=path, force=force))
        path = await self.store.export(operands[0], force=force)
        return Answer(f"Wrote the whole configuration to {path}", facts={"files": [{"path": str(path)}]})

    def written(self, asked: Asked, written: Written) -> Answer:
        """The answer of a writeback. If a change was not saved, or saved in vain, raises CommandError with this
        answer."""
        lines = [f"Wrote {counted(count, 'change')} to {path}" for path, count in written.files]
        for change, place in written.overridden:
            lines.append(f"Warning: {change.where} was written but is overridden at {place}")
        remedies = [f"Remedy: {remedy}" for remedy in written.remedies]
        if written.unsaved:
            count = counted(len(written.unsaved), "change")
            verb = "belongs" if len(written.unsaved) == 1 else "belong"
            lines.append(f"Warning: {count} {verb} to no file that can be written, and will be lost by a reload:")
            lines.append(as_text(written.unsaved, self.store.schema, reveal=asked.reveal))
        if written.unsaved or written.overridden:
            raise CommandError("\n".join((*lines, *remedies)))
        files = [{"path": str(path), "changes": count} for path, count in written.files]
        return Answer("\n".join(lines) or "Nothing to write back", facts={"files": files})

    def help(self, asked: Asked) -> str:
        return help_text(asked.words, self.store.schema)


def _not_set(here: paths.Here, option: str) -> str:
    return f"Option '{option}' is not set in scope '{path_text(here.path)}'."


def _anything(_: str) -> bool:
    return True
