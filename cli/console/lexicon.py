"""What the console knows of its daemon: the daemon's commands, and the names in its cluster. Pure.

Completion and hints come from here, so that a key press asks nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cli.console.node_names import NodeNames
from eccmgr.commands.completion import ANY_NODE, Known
from eccmgr.commands.danger import Danger
from eccmgr.commands.table import Call, Command, Param, Table


@dataclass(frozen=True)
class Lexicon:
    """The commands of a daemon, the names in its cluster."""

    table: Table = field(default_factory=Table)
    nodes: NodeNames | None = None
    """None if only the daemon itself knows them."""
    subclusters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Such as `role:mta`."""
    vips: tuple[str, ...] = ()

    def known(self, configuration: Callable[[str, Sequence[str]], list[str]]) -> Known:
        """The names in the form for completion, in which `ANY_NODE` stands for all nodes."""
        return _Indexed(
            (ANY_NODE,), self.subclusters, configuration, self.vips, self.tags, index=self.nodes or NodeNames()
        )


@dataclass(frozen=True)
class _Indexed(Known):
    index: NodeNames = field(default_factory=NodeNames)

    def is_node(self, word: str) -> bool:
        """Whether `word` is the name of a node."""
        return word in self.index


def table_of(facts: object) -> Table | None:
    """The commands of a daemon from the JSON form of its `help`; None if it does not describe them (an old daemon)."""
    listed = facts.get("commands") if isinstance(facts, Mapping) else None
    if not isinstance(listed, list):
        return None
    table = Table()
    try:
        table.add(*map(_command, listed))
    except (TypeError, KeyError, ValueError, AttributeError):
        # A server of another kind answers what it likes.
        return None
    return table


def _command(facts: Mapping[str, object]) -> Command:
    params = facts["params"]
    if not isinstance(params, list):
        raise TypeError("params is a list")
    return Command(
        str(facts["name"]),
        str(facts["brief"]),
        _runs_elsewhere,
        tuple(map(_param, params)),
        danger=Danger[str(facts.get("danger", "none")).upper()],
    )


def _param(facts: Mapping[str, object]) -> Param:
    words = facts.get("words")
    choices = tuple(map(str, words)) if isinstance(words, list) else ()
    return Param(
        str(facts["name"]),
        str(facts["kind"]),
        bool(facts["optional"]),
        bool(facts["rest"]),
        (lambda: choices) if choices else None,
    )


async def _runs_elsewhere(_call: Call) -> str:
    raise AssertionError("a command of the daemon does not run in the console")
