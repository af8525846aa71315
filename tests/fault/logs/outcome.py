"""What came of a run: each line is in the targets once, in order, not torn, or a deletion took it and was counted."""

import json
from pathlib import Path

import redis

from eccmgr.logs.collection.following.succession import KnownFile
from eccmgr.logs.collection.news import parse_files
from eccmgr.redis.keys import Keys
from tests.daemons import ask_sync
from tests.fault.logs.sites import LogSite
from tests.fault.logs.writers import DeletedFile, WatchedWriter, line_size, numbers_in
from tests.waiting import wait_until_sync

SETTLE_S = 180.0


def _sizes(said: list[KnownFile], deleted: DeletedFile) -> list[int]:
    """The sizes that a deleted file had when a node told of it."""
    return [file.size for file in said if file.file.head and file.file.begins(deleted.head)]


class Outcome:
    """The targets of one run, and what deletions took."""

    def __init__(self, site: LogSite, folder: Path, socket: Path, cluster: str) -> None:
        self._site, self._folder, self._socket, self._keys = site, folder, socket, Keys(cluster)
        self.lines = self.taken = self.counted = 0
        """The lines written, the bytes that deletions took, and those that were counted."""

    def last(self, node: str) -> int:
        """The number of the last line of a node that has come; -1 if none has."""
        files = self._site.targets(self._folder, node)
        if not files:
            return -1
        with files[-1].open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 400))
            *lines, _torn = file.read().split(b"\n")
        return int(lines[-1].split()[1]) if lines else -1

    # What a node can have told of the files that are gone.

    def was_deleted(self, writer: WatchedWriter, deleted: DeletedFile, holder: int) -> None:
        """Note what is known of a file that is gone. If no node had it open (`holder`), that is what one had told."""
        deleted.holder = holder
        if not holder:
            self._expect_what_was_said(writer, [deleted])

    def node_died(self, writer: WatchedWriter) -> None:
        """Note what is not known of deleted files, now that the node is dead."""
        self._expect_what_was_said(writer, self._unsettled(writer))

    def redis_forgot(self, writer: WatchedWriter, node: int) -> None:
        """Note that nothing is known any more of deleted files that the process of the `node` did not have open."""
        for deleted in self._unsettled(writer):
            if deleted.holder != node:
                deleted.unknown = deleted.size

    def _expect_what_was_said(self, writer: WatchedWriter, gone: list[DeletedFile]) -> None:
        said = self._said(writer.name)
        for deleted in gone:
            deleted.unknown = max(deleted.unknown, deleted.size - max(_sizes(said, deleted), default=0))

    def _unsettled(self, writer: WatchedWriter) -> list[DeletedFile]:
        last = self.last(writer.name)
        return [deleted for deleted in writer.deleted if deleted.last >= last]

    def _said(self, node: str) -> list[KnownFile]:
        with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=30) as client:
            raw = client.hget(self._keys.log_state(node, self._site.log), "says")
        return parse_files(raw if isinstance(raw, bytes) else b"")

    # The end.

    def check(self, writer: WatchedWriter, lines: int, manager: Path) -> None:
        """Wait for the last of so many lines. Raises AssertionError if one is missing, there twice, or torn."""
        node = writer.name
        self.lines += lines
        wait_until_sync(lambda: self.last(node) == lines - 1, f"the last line of {node} came", SETTLE_S)
        text = b"".join(file.read_bytes() for file in self._site.targets(self._folder, node))
        numbers = numbers_in(node, text)
        for before, number in zip([-1, *numbers], numbers, strict=False):
            assert number > before, f"{node}: line {number} comes after line {before}"
        self._check_missing(writer, sorted(set(range(lines)) - set(numbers)), manager)

    def _check_missing(self, writer: WatchedWriter, missing: list[int], manager: Path) -> None:
        least = taken = 0
        losses = []
        for deleted in writer.deleted:
            gone = [number for number in missing if deleted.first <= number <= deleted.last]
            size = sum(line_size(writer.name, number) for number in gone)
            least, taken = least + max(0, size - deleted.unknown), taken + size
            missing = [number for number in missing if not deleted.first <= number <= deleted.last]
            if size:
                losses.append(f"{gone[0]}-{gone[-1]}: {size} bytes, of which {deleted.unknown} were not told")
        assert not missing, f"{writer.name}: {len(missing)} lines are missing, from {missing[0]} to {missing[-1]}"
        wait_until_sync(
            lambda: self._counted(writer.name, manager) >= least,
            "\n".join((f"{least} lost bytes of {writer.name} count", *losses)),
            SETTLE_S,
        )
        counted = self._counted(writer.name, manager)
        assert counted <= taken, f"{writer.name}: deletions took {taken} bytes, {counted} were counted"
        self.taken, self.counted = self.taken + taken, self.counted + counted

    def _counted(self, node: str, manager: Path) -> int:
        rows = json.loads(ask_sync(manager, "json show logs"))["logs"]
        return next((int(row["lost"]) for row in rows if (row["node"], row["log"]) == (node, self._site.log)), 0)

    def check_own(self) -> None:
        """Wait until what the nodes write themselves has come, as it is."""
        for source, pattern in self._site.own.values():
            for node in self._site.nodes:
                written = Path(self._site.text(source, self._folder, node))
                targets = (self._folder / "out").glob(self._site.text(pattern, self._folder, node))
                files = sorted(targets)
                wait_until_sync(
                    lambda w=written, f=files: w.read_bytes() == b"".join(file.read_bytes() for file in f),  # type: ignore[misc]
                    f"{written} came as it is",
                    SETTLE_S,
                )
                assert files, f"{written} did not come"
