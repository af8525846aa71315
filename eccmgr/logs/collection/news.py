"""What nodes and managers say of themselves in Redis, so that they find each other."""

import msgspec

from eccmgr.logs.collection.following.succession import KnownFile
from eccmgr.logs.collection.places import FileIdentity
from eccmgr.redis.reading import check_lines, decoded

_LONGEST = 64 * 1024


class LogNews(msgspec.Struct, frozen=True):
    """What a node says of one of its logs: its name, who collects it, where the node belongs, and how far it is read.

    `size` is the size of the present file, `behind` the bytes that were not sent yet, `fault` the reason why it cannot
    be read.
    """

    name: str
    subscribers: tuple[str, ...]
    subcluster: str = ""
    size: int = 0
    behind: int = 0
    lost: int = 0
    fault: str = ""

    def dump(self) -> str:
        """The news as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "LogNews | None":
        """The news in Redis; None if a node did not write it."""
        try:
            read = decoded(_log_news, raw, _LONGEST)
            check_lines(read.name, read.subcluster, read.fault, *read.subscribers)
        except (ValueError, msgspec.MsgspecError):
            return None
        return read


_log_news = msgspec.json.Decoder(LogNews)


class Wishes(msgspec.Struct, frozen=True):
    """As whom a manager collects logs; `of_nodes` says what differs for a node, in small letters."""

    manager: str
    subscribers: tuple[str, ...]
    of_nodes: dict[str, tuple[str, ...]] = {}

    def dump(self) -> str:
        """The wishes as JSON."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, raw: bytes) -> "Wishes | None":
        """The wishes in Redis; None if a manager did not write them."""
        try:
            return decoded(_wishes, raw, _LONGEST)
        except (ValueError, msgspec.MsgspecError):
            return None

    def for_node(self, node: str) -> tuple[str, ...]:
        """The subscribers for a node's logs."""
        return self.of_nodes.get(node.lower(), self.subscribers)


_wishes = msgspec.json.Decoder(Wishes)


class _FileRow(msgspec.Struct, array_like=True):
    turn: int
    device: int
    inode: int
    head: int
    fingerprint: str
    size: int
    changed_ns: int
    tail: str = ""


def dump_files(files: list[KnownFile]) -> str:
    """The files of a log as JSON, for the node's next life."""
    rows = [
        _FileRow(
            known.turn,
            *(file.device, file.inode, file.head, file.fingerprint),
            *(known.size, known.changed_ns, known.tail),
        )
        for known in files
        for file in (known.file,)
    ]
    return msgspec.json.encode(rows).decode()


_files = msgspec.json.Decoder(list[_FileRow])


def parse_files(raw: bytes) -> list[KnownFile]:
    """The files that `dump_files` kept; none if somebody else wrote this."""
    try:
        rows = decoded(_files, raw, _LONGEST) if raw else []
    except (ValueError, msgspec.MsgspecError):
        return []
    return [
        KnownFile(
            row.turn,
            FileIdentity(row.device, row.inode, row.head, row.fingerprint),
            *(max(0, row.size), row.changed_ns, row.tail),
        )
        for row in rows
    ]
