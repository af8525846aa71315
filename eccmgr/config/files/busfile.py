"""Reads the bus files of older clusters: the nodes that a cluster should have, and the subcluster of each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from eccmgr.config.syntax.document import OptionNode, ScopeNode
from eccmgr.config.syntax.faults import Fault, FaultyConfigError
from eccmgr.config.syntax.lexer import control_character
from eccmgr.config.syntax.lines import position
from eccmgr.config.syntax.parse import parse_text
from eccmgr.config.syntax.values import Dictionary
from eccmgr.text.naming import is_plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eccmgr.config.files.disk import Reading

_TOKEN = re.compile(r"\#[^\r\n]*|[{}]|[^\s{}\#]+")
_SUBCLUSTER = re.compile(r"\#\s*Subcluster:\s*(\S+?)\s*=>?\s*(\S+)", re.IGNORECASE)
_ENDPOINT = re.compile(r".+:[0-9]{1,5}")


class ExpectedNode(NamedTuple):
    """An expected node, from a bus file: its name and address, and its subcluster and manager if the file has them."""

    name: str
    address: str
    subcluster: str | None = None
    manager: str | None = None
    is_peer: bool = False
    """Whether the node is among the peers of a manager and in no segment."""


@dataclass(frozen=True, slots=True)
class BusMap:
    """The expected nodes of a cluster, in the order of its bus files; a node may be in several segments."""

    nodes: tuple[ExpectedNode, ...] = ()

    def given(self, manager: str = "") -> dict[str, list[str]]:
        """Map each node, by its name as first written, to the subclusters that the files give it (normally at most
        one).

        The `peers` of a manager hold managers too: the peer called `manager` is not a node, unless a segment lists it.
        """
        spelt: dict[str, str] = {}
        subclusters: dict[str, list[str]] = {}
        segmented = {node.name.lower() for node in self.nodes if not node.is_peer}
        for node in self.nodes:
            if node.name.lower() == manager.lower() and manager.lower() not in segmented:
                continue
            given = subclusters.setdefault(spelt.setdefault(node.name.lower(), node.name), [])
            if node.subcluster and node.subcluster not in given:
                given.append(node.subcluster)
        return subclusters

    def __add__(self, other: BusMap) -> BusMap:
        return BusMap((*self.nodes, *other.nodes))


def read_mbus(path: str, data: bytes) -> BusMap:
    """Parse a `mbus.conf`, ignoring all but segments and subclusters. Raises FaultyConfigError."""
    reader = _Reader(path, data.decode("utf-8-sig", errors="replace"))
    reader.run()
    if reader.faults:
        raise FaultyConfigError(reader.faults)
    return BusMap(tuple(reader.nodes))


def read_msgc_server(path: str, data: bytes) -> BusMap:
    """Parse the members in `msgc_server { peers = [ … ] }`. Raises FaultyConfigError."""
    document, faults = parse_text(path, data.decode(errors="replace"))
    if faults:
        raise FaultyConfigError(faults)
    servers = [node for node in document.items if isinstance(node, ScopeNode) and node.kind.lower() == "msgc_server"]
    options = [node for server in servers for node in server.items if isinstance(node, OptionNode)]
    peers = [node.value for node in options if node.name.lower() == "peers" and isinstance(node.value, Dictionary)]
    return BusMap(
        tuple(ExpectedNode(key.text, address.text, is_peer=True) for peer in peers for key, address in peer.pairs)
    )


BUS_FILES = {"mbus.conf": read_mbus, "msgc_server.conf": read_msgc_server}
"""The names of bus files, and their readers."""


def expected_nodes(main: str, files: Reading, folders: Sequence[str]) -> BusMap:
    """The expected nodes of `mbus.conf` and `msgc_server.conf`, which are looked for beside `main`, then in `folders`.

    Empty if neither file exists. Raises FaultyConfigError.
    """
    expected = BusMap(())
    for name, read in BUS_FILES.items():
        for folder in (os.path.dirname(main), *folders):  # noqa: PTH120
            path = os.path.join(folder, name)
            try:
                data = files.read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise FaultyConfigError([Fault(path, 1, 1, error.strerror or str(error), "a file to read")]) from None
            expected += read(path, data)
            break
    return expected


class _Reader:
    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tokens = list(_TOKEN.finditer(text))
        self.at = 0
        self.nodes: list[ExpectedNode] = []
        self.faults: list[Fault] = []
        self.subcluster: str | None = None
        self.manager: str | None = None

    def fault(self, offset: int, what: str, expected: str) -> None:
        line, column = position(self.text, offset)
        self.faults.append(Fault(self.path, line, column, what, expected))

    def run(self) -> None:
        control = control_character(self.text)
        if control:
            self.fault(control.start(), "a control character (is this a binary file?)", "text")
            return
        while (token := self.next()) is not None:
            if token[0].lower() == "spread_segment":
                self.segment(token.start())
            elif token[0] == "{":
                self.skip_block(token.start())
            elif token[0] == "}":
                self.fault(token.start(), "'}' closes nothing", "a Spread_Segment")

    def next(self) -> re.Match[str] | None:
        """The next token that is not a comment; a comment that names a subcluster is noted."""
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if not token[0].startswith("#"):
                return token
            named = _SUBCLUSTER.match(token[0])
            if named:
                self.subcluster, self.manager = named[1], named[2]
        return None

    def segment(self, start: int) -> None:
        subcluster, manager = self.subcluster, self.manager
        endpoint = self.next()
        if endpoint is None or not _ENDPOINT.fullmatch(endpoint[0]):
            self.fault(endpoint.start() if endpoint else start, "Spread_Segment without an endpoint", "BROADCAST:PORT")
            self.at -= 1 if endpoint and endpoint[0] in "{}" else 0
        opening = self.next()
        if opening is None or opening[0] != "{":
            self.fault(opening.start() if opening else start, "Spread_Segment without nodes", "'{ NODE ADDRESS … }'")
            return
        while (name := self.next()) is not None and name[0] != "}":
            address = self.next() if name[0] != "{" else None
            if name[0] == "{":
                # The block lists further interfaces of the preceding node.
                self.skip_block(name.start())
            elif not is_plain_name(name[0]) or address is None or address[0] in "{}":
                self.fault(name.start(), f"'{name[0][:60]}' is not a node with its address", "NODE ADDRESS")
                self.at -= 1 if address is not None and address[0] in "{}" else 0
            else:
                self.nodes.append(ExpectedNode(name[0], address[0], subcluster, manager))
        if name is None:
            self.fault(opening.start(), "'{' is never closed", "a '}' before the end of the file")

    def skip_block(self, start: int) -> None:
        depth = 1
        while depth and (token := self.next()) is not None:
            depth += (token[0] == "{") - (token[0] == "}")
        if depth:
            self.fault(start, "'{' is never closed", "a '}' before the end of the file")
