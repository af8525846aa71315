"""The dangerous commands of nodes' modules, as nodes state them in the vocabulary: a manager does not know modules.

An entry is `!LEVEL NAME`, such as `!1 shop:corner sell`. No first word of a command looks like it.
"""

from collections.abc import Iterable, Mapping

from eccmgr.commands.carried import ON_NODES
from eccmgr.commands.danger import Danger
from eccmgr.commands.normal_form import NormalForm
from eccmgr.commands.table import Command


def stated(commands: Iterable[Command]) -> set[str]:
    """The entries for the dangerous ones of `commands`, without those that every node has."""
    return {f"!{int(c.danger)} {c.name.lower()}" for c in commands if c.danger and c.name not in ON_NODES}


def dangers_in(vocabulary: Iterable[str]) -> Mapping[str, Danger]:
    """The dangers that nodes have stated, by the names of commands in small letters; the highest one counts."""
    dangers: dict[str, Danger] = {}
    for entry in vocabulary:
        level, _, name = entry.partition(" ")
        if name and level in _LEVELS:
            dangers[name] = max(_LEVELS[level], dangers.get(name, Danger.NONE))
    return dangers


def danger_of(form: NormalForm, dangers: Mapping[str, Danger]) -> Danger:
    """The danger of a command of a module: of the longest name that its words begin with."""
    words = [word.lower() for word in form.words]
    for length in range(len(words), 0, -1):
        if (danger := dangers.get(" ".join(words[:length]))) is not None:
            return danger
    return Danger.NONE


_LEVELS = {f"!{int(danger)}": danger for danger in Danger if danger}
