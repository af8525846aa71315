"""Where a node's subcluster and tags come from: the source that counts, and the values of other sources that do not."""

from collections.abc import Sequence

from eccmgr.cluster.facts import facts
from eccmgr.cluster.members import Identity
from eccmgr.cluster.named import NamedNode
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.syntax.values import Dictionary, Text, Value
from eccmgr.text.tags import Tags, line_of

BUS_FILE = "its bus file"


def origins(view: ScopeView, identity: Identity, given: NamedNode | None) -> Sequence[str]:
    """The lines of `cluster info` about the node's place. `given` is what bus files say of it, None if unknown."""
    named = [(name, BUS_FILE) for name in given.subclusters] if given is not None else []
    subclusters = [*_sources(view, "subcluster"), *named]
    tags = {name: value for name, value in identity.tags.items() if name not in facts()}
    return (
        f"Subcluster: {_said(identity.subcluster, subclusters)}",
        f"Tags: {_said(line_of(tags) or 'none', _sources(view, 'tags'))}",
        f"Facts: {line_of(facts())}",
    )


def _sources(view: ScopeView, option: str) -> list[tuple[str, str]]:
    """The values that are given to an option of the scope `cluster`, each with its source, the strongest first."""
    cluster = view.scope("cluster")
    sources = []
    override = view.overrides.get(cluster.path, option) if view.overrides is not None else None
    if override is not None:
        sources.append((_shown(override.value), override.source))
    scope = view.root.find(cluster.path)
    if scope is not None and (setting := scope.options.get(option)) is not None:
        sources.append((_shown(setting.value), setting.place or "config set"))
    return sources


def _shown(value: Value) -> str:
    match value:
        case Text(text):
            return text
        case Dictionary(pairs):
            tags: Tags = {name.text.lower(): text.text for name, text in pairs}
            return line_of(tags) or "none"
    return ""


def _said(value: str, sources: Sequence[tuple[str, str]]) -> str:
    if not sources:
        return value
    (_, source), *others = sources
    unused = ", ".join(f"{other} ({where})" for other, where in others)
    return f"{value}, from {source}{f'; without effect: {unused}' if unused else ''}"
