"""The sites on which faults are played: their nodes and managers, and the configuration of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.times import FAULT_TIMES
from tests.vips import IN_MEMORY

_QUICK = f"{FAULT_TIMES}  {IN_MEMORY}"


@dataclass(frozen=True)
class LogSite:
    """A site. In the texts, FOLDER stands for its folder, NODE for the node, and QUICK for options of tests."""

    nodes: tuple[str, ...]
    managers: tuple[str, ...]
    rate: int
    """Lines a second and node."""
    log: str
    """The log with the numbered lines."""
    source: str
    node: str
    manager: str
    target: str
    """A pattern of the files to which the lines of a node come."""
    own: Mapping[str, tuple[str, str]]
    """Logs that the nodes write themselves: the file, and the pattern of its targets."""
    can_freeze: str = ""
    """A node that has its targets on a file system of their own."""

    def path(self, folder: Path, node: str) -> Path:
        """The log of a node."""
        return Path(self.text(self.source, folder, node))

    def text(self, text: str, folder: Path, node: str = "") -> str:
        """A text with its names filled in."""
        return text.replace("QUICK", _QUICK).replace("FOLDER", str(folder)).replace("NODE", node)

    def targets(self, folder: Path, node: str) -> list[Path]:
        """The files to which the lines of a node have come, the oldest first."""
        files = [
            file for root in ("out", "frozen") for file in (folder / root).glob(self.text(self.target, folder, node))
        ]
        return sorted((file for file in files if file.is_file()), key=str)


PAIR = LogSite(
    nodes=("east1", "west1"),
    managers=("barca", "roma"),
    rate=2000,
    log="mainlog",
    source="FOLDER/logs/NODE/main.log",
    node='cluster { QUICK  logs = [ mainlog = "FOLDER/logs/NODE/main.log" ]  logs_pipe = 262144 }',
    manager="""
Logs {
  logfile = "FOLDER/out/%Y-%m-%d/%{l}/%{n}"
  Node "west1" { logfile = "FOLDER/frozen/%Y-%m-%d/%{l}/%{n}" }
}
""",
    target="*/mainlog/NODE",
    own={},
    can_freeze="west1",
)
"""Two nodes that write fast; the targets of one are on a disk that may freeze."""

TEN = LogSite(
    nodes=tuple(f"{side}{number}" for side in ("east", "west") for number in range(1, 6)),
    managers=("barca", "roma"),
    rate=200,
    log="rejectlog",
    source="FOLDER/NODE/var/log/ecelerity/rejectlog.cluster",
    node="""
cluster {
  QUICK
  logs = [
    rejectlog = "FOLDER/NODE/var/log/ecelerity/rejectlog.cluster"
    paniclog = "FOLDER/NODE/var/log/ecelerity/paniclog.cluster"
    mainlog = "FOLDER/NODE/var/log/ecelerity/mainlog.cluster"
  ]
}
ec_logger "ec_logger_cluster" {
  mainlog = "cluster://FOLDER/NODE/var/log/ecelerity/mainlog.cluster=>master"
  paniclog = "cluster://FOLDER/NODE/var/log/ecelerity/paniclog.cluster=>master"
  rejectlog = "cluster://FOLDER/NODE/var/log/ecelerity/rejectlog.cluster=>master"
}
""",
    manager="""
Logs {
  logfile = "FOLDER/out/%Y/%m/%d/%{l}/%{s}/%{n}"
  file_mode = "0640"
  dir_mode = "0755"
}
""",
    target="*/*/*/rejectlog/default/NODE",
    own={"mainlog": ("FOLDER/NODE/var/log/ecelerity/mainlog.cluster", "*/*/*/mainlog/default/NODE")},
)
"""Ten nodes with the configuration that operators of such clusters know; the nodes' own lines are collected too."""

SITES = {"pair": PAIR, "ten": TEN}
