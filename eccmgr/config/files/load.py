"""Loads a main file and its includes into one tree, and collects every fault of every file."""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from eccmgr.config.files.disk import Contents, DiskFiles, Snapshot
from eccmgr.config.schema.check import option_fault, scope_fault
from eccmgr.config.schema.known import SCHEMA
from eccmgr.config.syntax.document import MAX_DEPTH, Document, IncludeNode, Node, OptionNode, ScopeNode
from eccmgr.config.syntax.faults import MAX_FAULTS, Fault, FaultyConfigError
from eccmgr.config.syntax.parse import parse_bytes
from eccmgr.config.syntax.tree import Block, Scope, Setting
from eccmgr.config.syntax.values import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.files.disk import Reading
    from eccmgr.config.schema.spec import ScopeSpec

MAX_INCLUDES = 10_000
"""The maximum number of files in all: files that include each other twice would double their number with each level."""
_NO_FILE = "configuration"
MAX_INCLUDE_DEPTH = 32
"""The deepest nesting of includes."""


@dataclass(eq=False)
class Loaded:
    """A loaded configuration: the tree, the files in the order read, and their faults."""

    main: str | None
    root: Scope = field(default_factory=Scope)
    documents: dict[str, Document] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    local_changes: Document | None = None
    snapshot: Snapshot | None = None
    ignored: list[str] = field(default_factory=list)
    """A line for each item of `Local_Changes_File` that must not be there."""

    def check(self, heading: str | None = None) -> None:
        """Raises FaultyConfigError with every fault, if there are any."""
        if self.faults:
            raise FaultyConfigError(self.faults, heading)


def search_path(variable: str | None) -> tuple[str, ...]:
    """The folders in `EC_CONF_SEARCH_PATH`, which are separated by `:`."""
    return tuple(folder for folder in (variable or "").split(":") if folder)


def load(
    main: str | None,
    files: Reading,
    folders: Sequence[str] = (),
    schema: ScopeSpec = SCHEMA,
    *,
    local_changes: bool = True,
) -> Loaded:
    """Load `main`, its includes and, with `local_changes`, its `Local_Changes_File`; without a main file the tree is
    empty.

    A relative include is looked up in the folder of the including file, then in `folders`. Raises nothing: see
    `Loaded.faults`.
    """
    snapshot = files if isinstance(files, Snapshot) else Snapshot(files)
    loader = _Loader(Loaded(main, snapshot=snapshot), snapshot, tuple(folders), schema)
    if main is not None:
        loader.main_file(main, local_changes=local_changes)
        loader.loaded.faults = _in_order(loader.loaded)
    return loader.loaded


def load_text(text: str, schema: ScopeSpec = SCHEMA) -> Loaded:
    """Load a configuration from a text that is in no file."""
    return load(_NO_FILE, Snapshot(DiskFiles()).pretending({DiskFiles().identity(_NO_FILE): text.encode()}), (), schema)


@dataclass(slots=True)
class _Context:
    """The place where items are added: the scope, its schema and depth, and the files that are being read.

    With `is_local`, the items come from the file for local changes, which the daemon itself writes. With `guarded`,
    each of the files is guarded. With `locked`, a scope around is locked.
    """

    scope: Scope
    spec: ScopeSpec | None
    depth: int
    chain: tuple[str, ...] = ()
    readonly: bool = False
    is_local: bool = False
    guarded: bool = True
    locked: bool = False

    def inner(self, scope: Scope, spec: ScopeSpec | None) -> _Context:
        locked = self.locked or bool(self.spec and self.spec.locks_scope(scope.kind))
        return replace(self, scope=scope, spec=spec, depth=self.depth + 1, locked=locked)


class _Loader:
    def __init__(self, loaded: Loaded, files: Reading, search_path: tuple[str, ...], schema: ScopeSpec) -> None:
        self.loaded = loaded
        self.files = files
        self.search_path = search_path
        self.schema = schema
        self.reads = 0
        self.locking: set[int] = set()
        """The documents from which locked options were taken."""
        self.spellings: dict[tuple[int, str], str] = {}

    def fault(self, document: Document, offset: int, what: str, expected: str) -> None:
        line, column = document.position(offset)
        fault = Fault(document.path, line, column, what, expected)
        if len(self.loaded.faults) < MAX_FAULTS and fault not in self.loaded.faults:
            self.loaded.faults.append(fault)

    def main_file(self, path: str, *, local_changes: bool) -> None:
        context = _Context(self.loaded.root, self.schema, 0)
        try:
            contents = self.files.examine(path)
        except OSError as error:
            self.loaded.faults.append(Fault(path, 1, 1, f"cannot be read: {_reason(error)}", "a file"))
            return
        self.overlay_file(path, contents, context)
        if local_changes:
            self.local_changes_file(path, replace(context, is_local=True))

    def local_changes_file(self, main: str, context: _Context) -> None:
        """Overlay `Local_Changes_File` last; if it does not exist yet, it counts as empty."""
        setting = self.loaded.root.option("local_changes_file")
        path = _beside(main, setting)
        if setting is None or path is None:
            return
        identity = self.files.identity(path)
        if identity not in self.loaded.documents:
            try:
                exists = self.files.exists(path)
                contents = self.files.examine(path, plain=True) if exists else Contents(b"", guarded=False)
            except OSError as error:
                if setting.document and setting.node:
                    what = f"{path} cannot be read: {_reason(error)}"
                    self.fault(setting.document, setting.node.start, what, "a file for local changes")
                return
            self.overlay_file(path, contents, context)
            if not exists:
                self.loaded.documents[identity].data = None
        document = self.loaded.documents[identity]
        if id(document) in self.locking and setting.document and setting.node:
            what = f"{path}, which this process writes, is included too, and has locked options"
            self.fault(setting.document, setting.node.start, what, "another file for local changes")
        self.loaded.local_changes = document

    def overlay_file(self, path: str, contents: Contents | None, context: _Context) -> None:
        """Add the items of a file; `contents` is None if the file was read before."""
        identity = self.files.identity(path)
        document = self.loaded.documents.get(identity)
        if document is None:
            assert contents is not None
            document, faults = parse_bytes(path, contents.data)
            document.readonly, document.guarded = context.readonly, contents.guarded
            self.loaded.documents[identity] = document
            self.loaded.faults.extend(faults)
        else:
            # Several places include this file, and a change could not be assigned to one of them.
            document.readonly = True
        guarded = context.guarded and document.guarded
        inner = replace(context, chain=(*context.chain, identity), guarded=guarded)
        context.scope.places.append(Block(document, None))
        self.overlay(document, document.items, inner)

    def overlay(self, document: Document, items: list[Node], context: _Context) -> None:
        for node in items:
            if isinstance(node, OptionNode):
                self.option(document, node, context)
            elif isinstance(node, ScopeNode):
                self.scope(document, node, context)
            elif context.is_local:
                self.ignore(document, node, "an include")
            else:
                self.include(document, node, context)

    def ignore(self, document: Document, node: Node, what: str) -> None:
        """Leave out an item that must not be in the file for local changes."""
        if len(self.loaded.ignored) < MAX_FAULTS:
            self.loaded.ignored.append(f"{document.place(node.start)}: {what} is ignored in the Local_Changes_File")

    def refuses(self, document: Document, node: OptionNode | ScopeNode, name: str, context: _Context) -> bool:
        """Whether a locked option or scope must not be taken from here. Then this reports it."""
        if context.is_local:
            self.ignore(document, node, f"{name}, which is locked,")
        elif not context.guarded:
            what = f"{name} is locked, and not taken from a file if others than root may write it"
            self.fault(document, node.start, what, "files that root, or this process's user, owns and alone may write")
        else:
            self.locking.add(id(document))
            return False
        return True

    def option(self, document: Document, node: OptionNode, context: _Context) -> None:
        lower = node.name.lower()
        locked = context.locked or (context.spec is not None and context.spec.locks(lower))
        if locked and self.refuses(document, node, node.name, context):
            return
        spec = context.spec.option(lower) if context.spec else None
        name = node.name
        if spec is not None:
            name = spec.name
            wrong = option_fault(spec, node.value)
            if wrong:
                self.fault(document, node.value_start, *wrong)
        elif lower in context.scope.options:
            name = context.scope.options[lower].name
        context.scope.options[lower] = Setting(name, node.value, document, node)

    def scope(self, document: Document, node: ScopeNode, context: _Context) -> None:
        if context.depth >= MAX_DEPTH:
            self.fault(document, node.start, "a scope nested too deep", f"at most {MAX_DEPTH} scopes within each other")
            return
        spec = context.spec.scope(node.kind) if context.spec else None
        locked = context.locked or (context.spec is not None and context.spec.locks(node.kind))
        if locked and self.refuses(document, node, spec.name if spec else node.kind, context):
            return
        if spec is not None:
            wrong = scope_fault(spec, node.name)
            if wrong:
                self.fault(document, node.start, *wrong)
        key = (node.kind.lower(), node.name)
        scope = context.scope.scopes.get(key)
        if scope is None and context.is_local and _halves(node, spec):
            self.ignore(document, node, f'{node.kind} "{node.name}", with locked options,')
            return
        if scope is None:
            kind = spec.name if spec else self.kind_spelling(context.scope, node.kind)
            scope = context.scope.scopes[key] = Scope(kind, node.name)
        scope.places.append(Block(document, node))
        self.overlay(document, node.items, context.inner(scope, spec))

    def kind_spelling(self, parent: Scope, kind: str) -> str:
        """The spelling of an unknown kind, as it was first written in this scope."""
        return self.spellings.setdefault((id(parent), kind.lower()), kind)

    def include(self, document: Document, node: IncludeNode, context: _Context) -> None:
        paths = self.find(document, node)
        if paths is None:
            return
        readonly = context.readonly or node.readonly
        for path in paths:
            identity = self.files.identity(path)
            if identity in context.chain:
                chain = [*context.chain[context.chain.index(identity) :], identity]
                what = "an include cycle: " + " → ".join(self.loaded.documents[each].path for each in chain)
                self.fault(document, node.start, what, "a file that is not being read already")
                continue
            self.reads += 1
            if self.reads > MAX_INCLUDES or len(context.chain) >= MAX_INCLUDE_DEPTH:
                what = "too many includes"
                expected = f"at most {MAX_INCLUDES} in all and {MAX_INCLUDE_DEPTH} within each other"
                self.fault(document, node.start, what, expected)
                return
            try:
                contents = None if identity in self.loaded.documents else self.files.examine(path)
            except OSError as error:
                self.fault(document, node.start, f"{path} cannot be read: {_reason(error)}", "a file or a folder")
                continue
            self.overlay_file(path, contents, replace(context, readonly=readonly))

    def find(self, document: Document, node: IncludeNode) -> list[str] | None:
        """The files that an include names: one file, or the files of a folder in order. If there is no such file, notes
        a fault and answers None."""
        for path in self.candidates(document.path, node.path):
            try:
                names = self.files.entries(path)
                if names is not None:
                    return [os.path.join(path, name) for name in sorted(names) if not name.startswith(".")]
                if self.files.exists(path):
                    return [path]
            except OSError as error:
                self.fault(document, node.start, f"{path} cannot be read: {_reason(error)}", "a file or a folder")
                return None
        where = "beside this file" + (" or in EC_CONF_SEARCH_PATH" if self.search_path else "")
        expected = "a path that exists" if os.path.isabs(node.path) else f"a file or a folder {where}"  # noqa: PTH117
        self.fault(document, node.start, f"include '{node.path}' is not there", expected)
        return None

    def candidates(self, including: str, path: str) -> list[str]:
        # join() drops the folder if the path is absolute.
        folders = [os.path.dirname(including), *self.search_path]  # noqa: PTH120
        return list(dict.fromkeys(os.path.join(folder, path) for folder in folders))


def _halves(node: ScopeNode, spec: ScopeSpec | None) -> bool:
    """Whether this instance would be incomplete without its locked options, as a guarded listener would."""
    if node.name is None or spec is None:
        return False
    scopes = [each for each in node.items if isinstance(each, ScopeNode)]
    names = [each.name for each in node.items if isinstance(each, OptionNode)] + [each.kind for each in scopes]
    return any(map(spec.locks, names)) or any(_halves(each, spec.scope(each.kind)) for each in scopes)


def _in_order(loaded: Loaded) -> list[Fault]:
    order = {document.path: index for index, document in enumerate(loaded.documents.values())}
    return sorted(loaded.faults, key=lambda fault: (order.get(fault.file, 0), fault.line, fault.column))


def _beside(main: str | None, setting: Setting | None) -> str | None:
    """The path of a `Local_Changes_File`; a relative one starts from the folder of the main file."""
    if main is None or setting is None or not isinstance(setting.value, Text) or not setting.value.text:
        return None
    return os.path.join(os.path.dirname(main), setting.value.text)  # noqa: PTH120


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
