"""Resolves the operands of a `config` command to scopes and options, from left to right, in tree and schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.spec import Naming, ScopeSpec
from eccmgr.config.syntax.lexer import is_name
from eccmgr.config.syntax.parse import parse_value
from eccmgr.config.syntax.tree import Path, Scope, Step, path_text
from eccmgr.config.syntax.values import Text
from eccmgr.errors import CommandError, UsageError
from eccmgr.text import words as command_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.syntax.values import Value
    from eccmgr.text.words import Word


@dataclass(frozen=True, slots=True)
class Here:
    """A point on a path: the scope, if it is written, and its schema, if it is known."""

    path: Path
    scope: Scope | None
    spec: ScopeSpec | None

    def has_option(self, word: str) -> bool:
        """Whether an option of this name is set in the scope or known in its schema."""
        return (self.scope is not None and self.scope.option(word) is not None) or (
            self.spec is not None and self.spec.option(word) is not None
        )

    def has_kind(self, word: str) -> bool:
        """Whether scopes of this kind are written in the scope or known in its schema."""
        return (self.scope is not None and bool(self.scope.of_kind(word))) or (
            self.spec is not None and self.spec.scope(word) is not None
        )

    def has_instance(self, kind: str, name: str | None) -> bool:
        """Whether the scope holds a scope of this kind and name."""
        return self.scope is not None and (kind.lower(), name) in self.scope.scopes

    def naming(self, kind: str) -> Naming | None:
        """Whether scopes of this kind have names; None if the kind is unknown."""
        spec = self.spec.scope(kind) if self.spec else None
        return spec.naming if spec else None

    def option_name(self, word: str) -> str:
        """The spelling of an option that is shown: the schema's, else as first written, else as typed."""
        spec = self.spec.option(word) if self.spec else None
        setting = self.scope.option(word) if self.scope else None
        return spec.name if spec else setting.name if setting else word

    def into(self, kind: str, name: str | None) -> Here:
        """The point one scope further: of this kind and name, written or not."""
        spec = self.spec.scope(kind) if self.spec else None
        siblings = self.scope.of_kind(kind) if self.scope else []
        spelling = spec.name if spec else siblings[0].kind if siblings else kind
        scope = self.scope.scopes.get((kind.lower(), name)) if self.scope else None
        return Here((*self.path, Step(spelling, name)), scope, spec)


def start(root: Scope, schema: ScopeSpec = SCHEMA) -> Here:
    """The global scope, where every path begins."""
    return Here((), root, schema)


def to_option(here: Here, words: Sequence[str]) -> tuple[Here, str]:
    """Resolve `[SCOPE [NAME]]… OPTION` to the scope, and the option in the spelling that is shown."""
    index = 0
    while index < len(words) - 1:
        here, index = one_scope(here, words, index, len(words) - 1)
    return here, here.option_name(words[-1])


class Scopes(NamedTuple):
    """The scopes that a path names. With `of_kind`, the path ends in a kind and names all scopes of that kind."""

    found: list[Here]
    of_kind: bool


def to_scopes(here: Here, words: Sequence[str]) -> Scopes:
    """Resolve `[SCOPE [NAME]]…` to a written scope, or to all written scopes of a kind if the kind has no name behind
    it."""
    index = 0
    while index < len(words):
        kind, above = words[index], here
        here, index = one_scope(here, words, index, len(words))
        if here.scope is None and here.path[-1].name is None and index == len(words) and above.scope:
            named = above.scope.of_kind(kind)
            return Scopes([above.into(scope.kind, scope.name) for scope in named], of_kind=True)
    return Scopes([here] if here.scope else [], of_kind=False)


def one_scope(here: Here, words: Sequence[str], at: int, end: int) -> tuple[Here, int]:
    """Resolve one scope, with its name if the next word (before `end`) is one; return it and the next word's index."""
    kind = words[at]
    if not here.has_kind(kind):
        raise CommandError(f"No scope '{kind}' in scope '{path_text(here.path)}'.")
    at += 1
    if at == end:
        return here.into(kind, None), at
    word, naming = words[at], here.naming(kind)
    if here.has_instance(kind, word) or naming is Naming.ALWAYS:
        return here.into(kind, word), at + 1
    if naming is Naming.NEVER or here.into(kind, None).has_kind(word):
        return here.into(kind, None), at
    return here.into(kind, word), at + 1


class Assignment(NamedTuple):
    """The operands of `config set`: the scope, the option as shown, its value's offset, and whether `=` precedes it."""

    here: Here
    option: str
    value_at: int
    signed: bool


def to_assignment(here: Here, line: str) -> Assignment | None:
    """Resolve `[SCOPE [NAME]]… OPTION [=] VALUE`; None if there are too few words.

    A separate `=` marks the word before it as the option; with it, unknown scopes may be named too.
    """
    words = command_words.split(line)
    sign = _sign(line, words)
    index = 0
    while index < len(words):
        word = words[index]
        name = _before_sign(line, word)
        known_scope = here.has_kind(word.text) or (sign is not None and sign > index)
        if name != word.text or index + 1 == sign or here.has_option(word.text) or not known_scope:
            end = word.start + len(name) if name != word.text else word.end
            value_at = _value_at(line, end)
            signed = "=" in line[end:value_at]
            return Assignment(here, here.option_name(name), value_at, signed) if value_at < len(line) else None
        here, index = _scope_before_setting(here, line, words, index, sign)
    return None


def _sign(line: str, words: Sequence[Word]) -> int | None:
    """The index of the `=` between option and value; None if a list or dictionary begins before any `=`."""
    for index, word in enumerate(words):
        typed = line[word.start : word.end]
        if typed == "=":
            return index or None
        # `[::1]:2025` is a name; a dictionary in one word holds no separate `=`.
        if typed[0] == "(" or (typed[0] == "[" and "]" not in typed):
            return None
    return None


def _before_sign(line: str, word: Word) -> str:
    """The option in a word of the form `OPTION=VALUE` or `OPTION=`; any other word is returned whole."""
    name, sign, _ = line[word.start : word.end].partition("=")
    return name if sign and is_name(name) else word.text


def _value_at(line: str, at: int) -> int:
    at = command_words.skip_space(line, at)
    return command_words.skip_space(line, at + 1) if line.startswith("=", at) else at


def _scope_before_setting(here: Here, line: str, words: Sequence[Word], at: int, sign: int | None) -> tuple[Here, int]:
    kind, at = words[at].text, at + 1
    anonymous = here.into(kind, None)
    if at == len(words):
        return anonymous, at
    word, naming = words[at].text, here.naming(kind)
    is_option = at + 1 == sign or anonymous.has_option(_before_sign(line, words[at]))
    if naming is not Naming.ALWAYS and is_option:
        return anonymous, at
    if here.has_instance(kind, word) or naming is Naming.ALWAYS:
        return here.into(kind, word), at + 1
    # An option and a value follow a name. With too few words, this word is the option and not a name.
    too_few = len(words) - at < 3 and anonymous.scope is not None
    if naming is Naming.NEVER or anonymous.has_kind(word) or too_few:
        return anonymous, at
    return here.into(kind, word), at + 1


def value_of(text: str) -> Value:
    """Parse the end of a command as a value, in the syntax of a file or as words, which are joined by a space.

    So the output of `config show` can be typed again, and a path needs no quotes. Raises UsageError.
    """
    text = text.strip()
    value = parse_value(text)
    if value is not None:
        return value
    if text[:1] in ("(", "["):
        shape = "a list such as ( item item )" if text[0] == "(" else "a dictionary such as [ key = value ]"
        raise UsageError(f"Not a value: {text[0]} begins {shape}; quote a text that begins with it")
    return Text(" ".join(word.text for word in command_words.split(text)))
