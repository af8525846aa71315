"""Masks the secrets in command lines, before a line is shown, logged or kept.

A command with a secret is shown in its normal form, with `********` in place of the secret. In doubt this masks more:
the value of every option that no schema here knows, because the option may belong to a module that only other hosts
have; and, in any command, what follows a word that is the name of a secret.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eccmgr.commands.normal_form import DEEPEST, normal_form
from eccmgr.config.schema import paths
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.schema.masking import MASK, is_secret_name, mask_parameters, masked
from eccmgr.config.schema.spec import ScopeSpec
from eccmgr.config.schema.unknown import known_within
from eccmgr.config.syntax.tree import Scope
from eccmgr.errors import EccmgrError, UsageError
from eccmgr.text import words
from eccmgr.text.unseen import without_unseen

_schemas = [SCHEMA]
_secret_options: set[str] = set()
"""The names, in small letters, of the options that are secret in any known schema."""

# A line without any of these words holds no secret. Nearly every line is one.
_SUSPICIOUS = re.compile(r"""["'\\=]|://|(?:\A|\s)-|\bset\b|pass|pwd|token|secret|credential""", re.IGNORECASE)
_QUOTING = re.compile(r"""["'\\]""")
_SETTING = re.compile(r"config set\b", re.IGNORECASE)
_FLAG = re.compile(r"--?([A-Za-z][\w.-]*)\Z")
_OPENING = "([{,"
_ENDING = "=:,"
_WORD = re.compile(r"\S+")
# Most words hold neither a quoted command nor a parameter with a value; even thousands of words then take only a
# moment.
_PLAIN = re.compile(r"""[^\s"'\\=:]*+=?\Z""")


def learn(schema: ScopeSpec) -> None:
    """Mask the secrets of `schema` too: a module has options of its own."""
    if schema not in _schemas:
        _schemas.append(schema)
        _secret_options.update(_secrets_of(schema))


def _secrets_of(schema: ScopeSpec) -> Iterable[str]:
    yield from (option.name.lower() for option in schema.options if option.secret)
    for inner in schema.scopes:
        yield from _secrets_of(inner)


_secret_options.update(_secrets_of(SCHEMA))


def without_secrets(line: str) -> str:
    """`line` as it is if it holds no secret; else its normal form with the secrets masked.

    A line that no gate would admit is changed too, so that it is one line and controls no terminal.
    """
    if _SUSPICIOUS.search(line) is None and line.isprintable():
        return line
    try:
        typed = normal_form(line).words
    except UsageError:
        return _of_a_line_without_form(line)
    shown = _masked_words(typed, 0)
    return line if shown == list(typed) else " ".join(map(words.quote, shown))


def same_command(line: str) -> str:
    """The spelling that all spellings of a command share, without its secrets. The latest run is found by it.

    The form of an answer (`json`) belongs to it: the answers differ.
    """
    try:
        form = normal_form(line)
    except UsageError:
        return words.fold(line).lower()
    shown = _masked_words(form.words, 0)
    return " ".join((*form.forms, *map(words.quote, shown)))


def _of_a_line_without_form(line: str) -> str:
    """A line that no gate admits, without its quotes, and without everything behind a `config set` or the name of a
    secret."""
    plain = without_unseen(_QUOTING.sub("", " ".join(line.split())))
    naming = (word for word in _WORD.finditer(plain) if is_secret_name(word[0].rstrip(_ENDING)))
    ends = [found.end() for found in (_SETTING.search(plain), next(naming, None)) if found is not None]
    if not ends:
        return mask_parameters(plain, secret=True)
    shown = mask_parameters(plain[: min(ends)], secret=True)
    return f"{shown} {MASK}" if min(ends) < len(plain) else shown


def _masked_words(typed: Sequence[str], depth: int) -> list[str]:
    shown: list[str] = []
    previous = ""
    for index, word in enumerate(typed):
        if word.lower() == "set" and previous.lower().split()[-1:] == ["config"]:
            return [*shown, word, *_masked_operands(typed[index + 1 :])]
        if is_secret_name(word) and not word.startswith("-"):
            # Whatever the command: it may be a mistyped `config set`, or a module's own.
            return [*shown, *_cut(list(typed[index:]), 0)]
        flag = _FLAG.match(previous) if previous.startswith("-") else None
        is_secret = flag is not None and is_secret_name(flag[1])
        shown.append(MASK if is_secret else _masked_word(word, depth))
        previous = word
    return shown


def _masked_word(word: str, depth: int) -> str:
    """A word, which may hold a command in quotes of its own."""
    if _PLAIN.match(word):
        return word
    try:
        inside = [part.text for part in words.split(word)]
    except UsageError:
        shown = _of_a_line_without_form(word)
        return shown if MASK in shown else word
    shown = word
    if len(inside) > 1:
        shown_inside = _masked_words(inside, depth + 1) if depth < DEEPEST else [MASK]
        shown = word if shown_inside == inside else " ".join(map(words.quote, shown_inside))
        if _QUOTING.search(shown):
            # Each word inside was masked by itself; a secret with blanks that is cut off here would open a quote.
            return shown
    return mask_parameters(shown, secret=True)


def _masked_operands(operands: Sequence[str]) -> list[str]:
    """The words behind `config set`, without the value if it is, or may be, a secret or holds one."""
    places = [place for schema in _schemas if (place := _place_of_option(operands, schema)) is not None]
    # No schema knows the option: to a host that knows more, the words before it may be scopes.
    ends = [] if any(place.is_known for place in places) else [max((place.at for place in places), default=-1)]
    ends += [place.at for place in places if place.is_known and not place.is_plain]
    for index, word in enumerate(operands):
        name = word.partition("=")[0].lstrip(_OPENING)
        if is_secret_name(name) or name.lower() in _secret_options:
            ends.append(index)
        elif _masked_word(word, 0) != word:
            ends.append(index - 1)
    return _cut(list(operands), min(ends)) if ends else list(operands)


class OptionPlace(NamedTuple):
    """The operands of a `config set`, as a schema reads them."""

    at: int
    """The index of the option's word."""
    is_known: bool
    is_plain: bool
    """Whether the value holds no secret, as far as the schema knows."""


def _place_of_option(operands: Sequence[str], schema: ScopeSpec) -> OptionPlace | None:
    """The place where `schema` finds the option; None if it cannot read the operands. Operands that set nothing are
    plain."""
    line = " ".join(map(words.quote, operands))
    try:
        assignment = paths.to_assignment(paths.start(Scope(), schema), line)
        if assignment is None:
            return OptionPlace(len(operands) - 1, is_known=True, is_plain=True)
        place, option, value_at, _ = assignment
        index = len(words.split(line[:value_at].rstrip().removesuffix("="))) - 1
    except EccmgrError:
        return None
    spec = place.spec.option(option) if place.spec else None
    try:
        value = paths.value_of(line[value_at:])
    except EccmgrError:
        return OptionPlace(index, known_within(place.spec, option), is_plain=False)
    return OptionPlace(index, known_within(place.spec, option), masked(option, value, spec) == value)


def _cut(shown: list[str], at: int) -> list[str]:
    """`shown`, with everything masked behind the word `at`, or behind the `=` in it or after it."""
    name, sign, value = shown[at].partition("=") if at >= 0 else ("", "", "")
    if value:
        return [*shown[:at], f"{name}{sign}{MASK}"]
    behind = at + 1
    if at >= 0 and shown[behind : behind + 1] == ["="]:
        behind += 1
    return [*shown[:behind], MASK] if behind < len(shown) else shown
