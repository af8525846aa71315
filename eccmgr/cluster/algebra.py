"""Sets of nodes with operators between them, such as `@east&role:mta!east3`.

The operators are those of ClusterShell: `,` union, `&` intersection, `!` difference, `^` symmetric difference. All have
the same rank, and count from left to right; what stands in parentheses comes first. A text is read whole, and its
bounds are checked, before any set is made.
"""

import enum
import itertools
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, Union

from eccmgr.cluster import names, nodeset
from eccmgr.cluster.groups import fits
from eccmgr.cluster.view import Seat, View
from eccmgr.errors import UsageError
from eccmgr.text.naming import is_plain_name
from eccmgr.text.tags import is_tag_name
from eccmgr.text.target_words import OPERATORS

MAX_GROUPS = 100
"""The maximum number of groups (`@all`, `@east`, `@role:mta`) in one target."""
DEEPEST = 20
"""The maximum number of parentheses within each other."""

_SHOWN = 80
# The patterns are possessive, so that they read a text of a megabyte in one pass.
_TOKEN = re.compile(r"([,&!^()]|(?>(?:[^\s,&!^()\[\]]++|\[[^\[\]]*+\])+))\s*+")
_PATTERN = re.compile(r"[A-Za-z0-9._+*?-]{1,63}")
_NO_PATTERN = (
    "write @NAME, a node's name, or a set such as east[1-3,7],west1; "
    "only the value of a tag may hold * and ?, as in @role:mt*"
)


class Operator(enum.StrEnum):
    """What becomes of the set so far and the next one."""

    UNION = ","
    INTERSECTION = "&"
    DIFFERENCE = "!"
    SYMMETRIC_DIFFERENCE = "^"


@dataclass(frozen=True)
class AllNodes:
    """`@all`."""


@dataclass(frozen=True)
class InSubcluster:
    """`@east`: the nodes of a subcluster."""

    name: str


@dataclass(frozen=True)
class WithTag:
    """`@role:mt*`: the nodes that have a tag with such a value."""

    tag: str
    pattern: str


@dataclass(frozen=True)
class Listed:
    """`east[1-3],west1`: node sets with commas between them, not spelt out yet."""

    folded: tuple[str, ...]


Operand: TypeAlias = AllNodes | InSubcluster | WithTag | Listed


class Term(NamedTuple):
    """An operator, and the set behind it. The first term of an expression adds its set to the empty set."""

    operator: Operator
    operand: Union[Operand, "Expression"]


Expression: TypeAlias = tuple[Term, ...]


def parse(text: str) -> Expression:
    """Read a target. Raises UsageError, which says what is wrong and what would be right."""
    if not text.strip():
        raise nodeset.no_set(text)
    return _TargetReader(text).expression()


def nodes_of(expression: Expression, view: View) -> Set[str]:
    """The nodes of `view`, live and absent, by their names in small letters.

    Raises CommandError for an unknown node, subcluster or tag: a mistyped name behind `!` must leave no node in.
    """
    nodes: set[str] = set()
    for operator, operand in expression:
        chosen = nodes_of(operand, view) if isinstance(operand, tuple) else _chosen(operand, view)
        match operator:
            case Operator.UNION:
                nodes |= chosen
            case Operator.INTERSECTION:
                nodes &= chosen
            case Operator.DIFFERENCE:
                nodes -= chosen
            case Operator.SYMMETRIC_DIFFERENCE:
                nodes ^= chosen
    return nodes


def names_groups(expression: Expression) -> bool:
    """Whether the nodes are found by their subclusters or tags."""
    return any(
        names_groups(operand) if isinstance(operand, tuple) else isinstance(operand, InSubcluster | WithTag)
        for _, operand in expression
    )


def written(expression: Expression, view: View) -> str:
    """The expression as a text, with the whole names of the nodes of `view`."""
    text = "".join(f"{operator}{_written(operand, view)}" for operator, operand in expression)
    return text.removeprefix(Operator.UNION)


def _written(operand: Union[Operand, "Expression"], view: View) -> str:
    match operand:
        case AllNodes():
            return "@all"
        case InSubcluster(name):
            return f"@{name}"
        case WithTag(tag, pattern):
            return f"@{tag}:{pattern}"
        case Listed(folded):
            return f"({names.fold(view.index.find_all(nodeset.spell_out(folded)))})"
    return f"({written(operand, view)})"


def holds(expression: Expression, seat: Seat) -> bool:
    """Whether the node at `seat` is in the set, by its own name, subcluster and tags. All names must be whole."""
    inside = False
    for operator, operand in expression:
        chosen = holds(operand, seat) if isinstance(operand, tuple) else _is_in(operand, seat)
        match operator:
            case Operator.UNION:
                inside = inside or chosen
            case Operator.INTERSECTION:
                inside = inside and chosen
            case Operator.DIFFERENCE:
                inside = inside and not chosen
            case Operator.SYMMETRIC_DIFFERENCE:
                inside = inside != chosen
    return inside


def _is_in(operand: Operand, seat: Seat) -> bool:
    match operand:
        case InSubcluster(name):
            return name.lower() == seat.subcluster.lower()
        case WithTag(tag, pattern):
            return tag in seat.tags and fits(pattern)(seat.tags[tag])
        case Listed(folded):
            return seat.key in nodeset.members(",".join(folded))
    return True


def _chosen(operand: Operand, view: View) -> Set[str]:
    match operand:
        case AllNodes():
            return view.groups.everyone
        case InSubcluster(name):
            return view.groups.subcluster(name)
        case WithTag(tag, pattern):
            return view.groups.tagged(tag, pattern)
        case Listed(folded):
            return {name.lower() for name in view.index.find_all(nodeset.spell_out(folded))}


class _TargetReader:
    """Reads one text, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._terms: list[Term] = []
        self._operator: Operator | None = Operator.UNION
        """The operator that waits for a set; None behind a set."""
        self._around: list[tuple[list[Term], Operator]] = []
        """The terms before each open parenthesis, and the operator before it."""
        self._last = ""
        self._names = self._groups = 0

    def expression(self) -> Expression:
        """The expression in the text. Raises UsageError."""
        at, length = 0, len(self._text)
        while at < length:
            found = _TOKEN.match(self._text, at)
            if found is None:
                raise nodeset.no_set(self._text)
            self._take(found[1])
            self._last, at = found[1], found.end()
        if self._operator is not None:
            raise self._fault(f"write a set behind the '{self._last}', without a blank between them")
        if self._around:
            raise self._fault("a '(' is never closed; write a ')' behind the last set in it")
        return _joined(self._terms)

    def _take(self, word: str) -> None:
        if word == "(":
            self._open()
        elif word == ")":
            self._close()
        elif word in OPERATORS:
            self._operate(Operator(word))
        else:
            self._add(self._operand(word), word)

    def _operate(self, operator: Operator) -> None:
        if self._operator is not None:
            is_first = not self._last and operator is not Operator.UNION
            hint = f", such as @all{self._text[:_SHOWN]}" if is_first else ""
            raise self._fault(f"write a set before the '{operator}'{hint}")
        self._operator = operator

    def _add(self, operand: Operand, word: str) -> None:
        self._terms.append(Term(self._awaited(word), operand))
        self._operator = None

    def _open(self) -> None:
        self._around.append((self._terms, self._awaited("(")))
        if len(self._around) > DEEPEST:
            raise self._fault(f"at most {DEEPEST} parentheses may stand within each other")
        self._terms, self._operator = [], Operator.UNION

    def _close(self) -> None:
        if self._operator is not None:
            raise self._fault("write a set before the ')'")
        if not self._around:
            raise self._fault("the ')' closes nothing; write a '(' before it")
        inside = _joined(self._terms)
        self._terms, operator = self._around.pop()
        self._terms.append(Term(operator, inside))

    def _awaited(self, word: str) -> Operator:
        """The operator before the set that begins with `word`. Raises UsageError if there is none."""
        if self._operator is None:
            raise self._fault(f"write one of , & ! ^ between '{self._last[:_SHOWN]}' and '{word[:_SHOWN]}'")
        return self._operator

    def _operand(self, word: str) -> Operand:
        name = word.removeprefix("@")
        if ":" in name or word.startswith("@"):
            self._groups += 1
            if self._groups > MAX_GROUPS:
                raise self._fault(f"it names more than {MAX_GROUPS} groups of nodes")
            return self._tagged(word, name) if ":" in name else self._group(word, name)
        if "*" in word or "?" in word:
            raise self._fault(_NO_PATTERN)
        self._names += nodeset.count(word)
        if self._names > nodeset.MAX_NAMES:
            raise nodeset.too_many()
        return Listed((word,))

    def _group(self, word: str, name: str) -> Operand:
        if "*" in word or "?" in word:
            raise self._fault(_NO_PATTERN)
        if not is_plain_name(name):
            raise self._fault(f"'{name[:_SHOWN]}' cannot name a subcluster; write @all, or @NAME such as @east")
        return AllNodes() if name.lower() == "all" else InSubcluster(name)

    def _tagged(self, word: str, name: str) -> Operand:
        tag, _, pattern = name.partition(":")
        if not is_tag_name(tag):
            raise self._fault(f"'{tag[:_SHOWN]}' cannot name a tag; write a tag like @role:mta")
        if not pattern:
            raise self._fault(f"write a value behind '{word[:_SHOWN]}', such as {word[:_SHOWN]}mta, or * for any")
        if not _PATTERN.fullmatch(pattern):
            raise self._fault(f"no tag has a value like '{pattern[:_SHOWN]}'; write a tag like @role:mta or @role:mt*")
        return WithTag(tag.lower(), pattern.lower())

    def _fault(self, why: str) -> UsageError:
        return UsageError(f"'{self._text[:_SHOWN]}' is not a TARGET: {why}")


def _joined(terms: Iterable[Term]) -> Expression:
    """Join the names between commas: they are looked up together, so that an error lists all unknown ones."""
    joined: list[Term] = []
    for are_listed, run in itertools.groupby(terms, _adds_names):
        if are_listed:
            folded = tuple(name for term in run if isinstance(term.operand, Listed) for name in term.operand.folded)
            joined.append(Term(Operator.UNION, Listed(folded)))
        else:
            joined += run
    return tuple(joined)


def _adds_names(term: Term) -> bool:
    return term.operator is Operator.UNION and isinstance(term.operand, Listed)
