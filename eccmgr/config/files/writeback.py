"""Writes changes back to files: finds the file of each, edits its text, and proves the result before writing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eccmgr.config.files.beside import EXPORT_MODE
from eccmgr.config.files.edits import DocumentEdits
from eccmgr.config.files.load import Loaded, load
from eccmgr.config.schema.masking import masked_text
from eccmgr.config.schema.printing import heading, show_recurse
from eccmgr.config.schema.types import OptionType, convert
from eccmgr.config.syntax.changes import Action, Change, apply_all, difference
from eccmgr.config.syntax.document import OptionNode, ScopeNode
from eccmgr.config.syntax.lines import BREAK
from eccmgr.config.syntax.tree import Scope, ScopeKey, Setting, keys_of, with_option, with_scope
from eccmgr.errors import CommandError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eccmgr.config.files.disk import Files
    from eccmgr.config.schema.spec import ScopeSpec
    from eccmgr.config.syntax.document import Document
    from eccmgr.config.syntax.tree import Block, Path

NEW_LOCAL_FILE = "# Changes made from a console; read after every other file, so they override.\n"
_PLACES_MAX = 20
_Key = tuple[tuple[ScopeKey, ...], str]


@dataclass(eq=False)
class WritePlan:
    """A plan for a writeback: the files, each with its new text and its number of changes, and the changes that fit no
    file.

    `loaded` is the configuration that the written files will make; None if there is nothing to write.
    """

    texts: dict[str, tuple[Document, str, int]] = field(default_factory=dict)
    unsaved: list[Change] = field(default_factory=list)
    overridden: list[tuple[Change, str]] = field(default_factory=list)
    remedies: list[str] = field(default_factory=list)
    loaded: Loaded | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a writeback.

    It has the files, each with its number of changes; the changes that could not be saved; the changes that were saved
    in vain, each with the place of a file that cannot be changed and overrides it; and remedies for the operator.
    """

    files: tuple[tuple[str, int], ...] = ()
    unsaved: tuple[Change, ...] = ()
    overridden: tuple[tuple[Change, str], ...] = ()
    remedies: tuple[str, ...] = ()


def plan(
    loaded: Loaded, live: Scope, files: Files, search_path: Sequence[str], schema: ScopeSpec, only: str | None = None
) -> WritePlan:
    """Find the file of each change, and prove that the written files will make the live configuration.

    A change that a later, read-only file would override goes to `Local_Changes_File`, if that is set.
    """
    changes = difference(loaded.root, live)
    redirected: set[_Key] = set()
    while True:
        planner = _Planner(loaded, live, files, only, frozenset(redirected))
        for change in changes:
            planner.place(change)
        result = planner.plan()
        if not result.texts:
            return result
        written = {identity: text.encode() for identity, (_, text, _) in result.texts.items()}
        assert loaded.snapshot is not None
        result.loaded = load(loaded.main, loaded.snapshot.pretending(written), search_path, schema)
        result.loaded.check("What would be written does not parse; nothing was written")
        missing = _without(difference(result.loaded.root, live), (*planner.unsaved, *planner.elsewhere))
        new = {_key(change) for change in missing if change.action is Action.SET} - redirected
        if planner.local is not None and new:
            redirected |= new
            continue
        result.overridden = [(change, _place_of(result.loaded.root, change)) for change in missing]
        if missing:
            result.remedies.append(f"take it out at {result.overridden[0][1]} by hand, or {planner.local_remedy()}")
        return result


def carry_out(
    plan: WritePlan, files: Files, schema: ScopeSpec, *, force: bool = False, widest: int = 0o7777
) -> Written:
    """Write all files of a plan or none. Of its mode, each file keeps the bits in `widest`.

    If a file has changed, raises ConfigError with the difference, unless `force`.
    """
    if not force:
        for identity, (document, _, _) in plan.texts.items():
            _check_unchanged(identity, document, files, schema)
    try:
        files.replace({identity: text.encode() for identity, (_, text, _) in plan.texts.items()}, widest)
    except OSError as error:
        raise ConfigError(f"Nothing was written: {error.strerror or error}") from error
    counts = tuple((document.path, count) for document, _, count in plan.texts.values())
    return Written(counts, tuple(plan.unsaved), tuple(plan.overridden), tuple(dict.fromkeys(plan.remedies)))


def export(live: Scope, path: str, files: Files, schema: ScopeSpec) -> None:
    """Write a whole tree to a file of its own. Only the owner may read it, because it holds secrets."""
    text = show_recurse(live, schema, reveal=True)
    try:
        files.put(path, (text + "\n" if text else "").encode(), EXPORT_MODE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error


def as_text(changes: Sequence[Change], schema: ScopeSpec, *, reveal: bool = False) -> str:
    """Changes in the syntax of a file. An unset option has no syntax, so it becomes a comment."""
    settable = [change for change in changes if change.action in (Action.SET, Action.CREATE)]
    tree = show_recurse(apply_all(Scope(), settable), schema, reveal=reveal)
    rest = [
        f"# unset {' '.join([*(heading(step) for step in change.path), change.option]).rstrip()}"
        for change in changes
        if change.action in (Action.UNSET, Action.DROP)
    ]
    return "\n".join([*([tree] if tree else []), *rest])


def _check_unchanged(identity: str, document: Document, files: Files, schema: ScopeSpec) -> None:
    try:
        now = files.read(identity) if files.exists(identity) else None
    except OSError as error:
        raise ConfigError(f"{document.path} cannot be read: {error.strerror or error}") from error
    if now == document.data:
        return
    on_disk = masked_text(document.path, (now or b"").decode(errors="replace"), schema)
    as_read = masked_text(document.path, document.text, schema)
    lines = difflib.unified_diff(BREAK.split(as_read), BREAK.split(on_disk), "as read", "on disk", lineterm="")
    difference_text = "\n".join(lines) or "(only hidden values differ)"
    raise CommandError(
        f"{document.path} changed on disk since it was read; nothing was written. "
        f"Reload it, or overwrite it with --force\n{difference_text}"
    )


class _Planner:
    """Turns changes, one after another, into edits of documents."""

    def __init__(
        self, loaded: Loaded, live: Scope, files: Files, only: str | None, redirected: frozenset[_Key]
    ) -> None:
        self.loaded = loaded
        self.live = live
        self.files = files
        self.only = files.identity(only) if only is not None else None
        self.redirected = redirected
        self.identities = {id(document): identity for identity, document in loaded.documents.items()}
        self.edits: dict[str, tuple[DocumentEdits, set[int]]] = {}
        self.unsaved: list[Change] = []
        self.remedies: list[str] = []
        self.elsewhere: list[Change] = []
        self._writable: dict[int, bool] = {}
        self.local = self._local_document()
        self.local_only = _boolean(live, "local_changes_only")

    def place(self, change: Change) -> None:
        """Make the edits of a change, or note that it cannot be saved."""
        if change.action in (Action.SET, Action.CREATE):
            self._set(change)
        elif change.action is Action.UNSET:
            self._remove(change, self._option_nodes(change))
        else:
            scope = self.loaded.root.find(change.path)
            places = scope.places if scope else []
            self._remove(change, [(place.document, place.node) for place in places if place.node])

    def plan(self) -> WritePlan:
        """The plan that the edits make."""
        texts = {
            identity: (edits.document, self._text(edits), len(changes))
            for identity, (edits, changes) in self.edits.items()
        }
        return WritePlan(texts, list(self.unsaved), remedies=list(self.remedies))

    def _text(self, edits: DocumentEdits) -> str:
        text = edits.result()
        return NEW_LOCAL_FILE + text if edits.document.data is None else text

    def _set(self, change: Change) -> None:
        if self.local_only or _key(change) in self.redirected:
            self._into(change, self.local)
            return
        scope = self.loaded.root.find(change.path)
        setting = scope.option(change.option) if scope and change.option else None
        if setting and setting.document and setting.node and self._can_write(setting.document):
            self._replace(change, setting.document, setting.node)
            return
        for place in scope.places if scope else []:
            if self._can_write(place.document):
                self._into(change, place.document)
                return
        self._into(change, self._around(change) if scope is None and not self.local else self.local)

    def _around(self, change: Change) -> Document | None:
        """The document for a scope that no file has yet: the first writable file with the scope around it."""
        for depth in range(len(change.path) - 1, -1, -1):
            around = self.loaded.root.find(change.path[:depth])
            for place in around.places if around else []:
                if self._can_write(place.document):
                    return place.document
        return None

    def local_remedy(self) -> str:
        """The remedy: how the operator gets a file for changes that belong to no other file."""
        main = self.loaded.main
        if main is None:
            return "start the daemon with a file (-c FILE)"
        named = self.loaded.local_changes
        if named is not None and self.local is None:
            return f"make {named.path} writable, which is the Local_Changes_File"
        return f'put Local_Changes_File = "PATH" into {main} by hand, then config reload'

    def _replace(self, change: Change, document: Document, node: OptionNode) -> None:
        edits = self._edits(document, change)
        if edits and change.value is not None:
            edits.replace_value(node, change.value)

    def _into(self, change: Change, document: Document | None) -> None:
        """Put an option or a scope at the end of the innermost block of its path in a document."""
        if document is None:
            self.unsaved.append(change)
            self.remedies.append(self.local_remedy())
            return
        if document is self.local and change.value is not None:
            node = self._node_in(document, change)
            if node:
                self._replace(change, document, node)
                return
        edits = self._edits(document, change)
        if edits is None:
            return
        depth, place = self._innermost(document, change.path)
        pending, rest = edits.pending(place.node), change.path[depth:]
        if change.value is not None:
            pending = with_option(pending, rest, Setting(change.option, change.value))
        else:
            pending = with_scope(pending, rest)
        edits.put(place.node, pending)

    def _node_in(self, document: Document, change: Change) -> OptionNode | None:
        nodes = [node for each, node in self._option_nodes(change) if each is document]
        return nodes[-1] if nodes else None

    def _innermost(self, document: Document, path: Path) -> tuple[int, Block]:
        for depth in range(len(path), -1, -1):
            scope = self.loaded.root.find(path[:depth])
            places = [place for place in scope.places if place.document is document] if scope else []
            if places:
                return depth, places[-1]
        raise ConfigError(f"{document.path} has no place for {heading(path[0]) if path else 'an option'}")

    def _remove(self, change: Change, nodes: Sequence[tuple[Document, OptionNode | ScopeNode]]) -> None:
        """Remove every place of an option or scope. If one place must stay, remove no place: the one that stays would
        count."""
        allowed = [not self.local_only or document is self.local for document, _ in nodes]
        if not nodes or not all(allowed) or not all(self._can_write(document) for document, _ in nodes):
            self.unsaved.append(change)
            stays = [document.place(node.start) for document, node in nodes if not self._can_write(document)]
            places = stays or [document.place(node.start) for document, node in nodes if document is not self.local]
            for place in places[:_PLACES_MAX]:
                self.remedies.append(f"take {change.where} out at {place} by hand")
            return
        if self.only is not None and any(self.identities[id(document)] != self.only for document, _ in nodes):
            self.elsewhere.append(change)
            return
        for document, node in nodes:
            edits = self._edits(document, change)
            if edits:
                edits.remove(node)

    def _option_nodes(self, change: Change) -> list[tuple[Document, OptionNode]]:
        """Every place that sets an option, in the order read."""
        scope = self.loaded.root.find(change.path)
        lower = change.option.lower()
        nodes: list[tuple[Document, OptionNode]] = []
        for place in scope.places if scope else []:
            items = place.node.items if place.node else place.document.items
            nodes += [
                (place.document, node) for node in items if isinstance(node, OptionNode) and node.name.lower() == lower
            ]
        return nodes

    def _edits(self, document: Document, change: Change) -> DocumentEdits | None:
        """Count the change, and answer the edits of its document; None if only another file may be written."""
        identity = self.identities[id(document)]
        if self.only is not None and identity != self.only:
            self.elsewhere.append(change)
            return None
        edits, changes = self.edits.setdefault(identity, (DocumentEdits(document), set()))
        changes.add(id(change))
        return edits

    def _can_write(self, document: Document) -> bool:
        if id(document) not in self._writable:
            writable = not document.readonly and self.files.writable(self.identities[id(document)])
            self._writable[id(document)] = writable
        return self._writable[id(document)]

    def _local_document(self) -> Document | None:
        document = self.loaded.local_changes
        return document if document and self._can_write(document) else None


def _boolean(root: Scope, option: str) -> bool:
    setting = root.option(option)
    return bool(setting and convert(OptionType.BOOLEAN, setting.value))


def _key(change: Change) -> _Key:
    return keys_of(change.path), change.option.lower()


def _without(changes: Iterable[Change], others: Sequence[Change]) -> list[Change]:
    """`changes` without those that affect an option or a scope of `others`."""
    options = {_key(other) for other in others if other.option}
    scopes = {keys_of(other.path) for other in others if not other.option}
    return [
        change
        for change in changes
        if _key(change) not in options
        and not any(keys_of(change.path[:depth]) in scopes for depth in range(len(change.path) + 1))
    ]


def _place_of(root: Scope, change: Change) -> str:
    """The place that overrides a change."""
    scope = root.find(change.path)
    setting = scope.option(change.option) if scope and change.option else None
    if setting and setting.place:
        return setting.place
    places = scope.places if scope else []
    return places[0].document.place(places[0].node.start) if places and places[0].node else "no file"
