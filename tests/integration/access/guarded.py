"""A manager and a node as real processes. One of the two listeners of the manager limits its callers by roles."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.daemons import OWN_USER, Process, Processes, ask_sync

ROLE = ("^gather uptime$", "^retrieve ")
CONFIGURATION = """
Control_Listener {{
  Enable_Authorization = true
  Listen "{folder}/eccmgr-barca" {{ Enable_Authorization = false }}
}}
Authorization {{ Role "{user}" {{ allow = ( {allow} ) }} }}
cluster {{ fence = none  plumber = memory  command_ttl = 5 }}
exec "ok" {{ commands = [ touch = "touch {folder}/touched"  nap = "sleep 600" ]  long = ( nap ) }}
Datasource "d" {{ uri = "pg:password=S3cr3t" }}
"""


@dataclass
class Guarded:
    """The two daemons. Nothing but the commands of ROLE may be run on the limited listener."""

    manager: Process
    node: Process
    folder: Path

    @property
    def limited(self) -> Path:
        """The listener whose callers need a role for each command."""
        return self.folder / "limited"

    def ask(self, line: str) -> str:
        """The answer to a limited caller."""
        return ask_sync(self.limited, line)

    def administer(self, line: str) -> str:
        """The answer to a caller whom no role limits."""
        return ask_sync(self.manager.endpoint, line)

    def refusals(self) -> int:
        """The number of refusals that the manager has counted."""
        said = re.search(r"Refused since the start: (.*)", self.administer("info"))
        return sum(map(int, re.findall(r"(\d+) ×", said[1]))) if said else 0

    def audited(self) -> str:
        """The commands that were sent to nodes."""
        return self.administer("history 1000")

    def check_alive(self) -> None:
        """Check that both daemons run, and that no forbidden program has run."""
        for process in (self.manager, self.node):
            assert process.popen.poll() is None, process.log
            assert "Traceback" not in process.log, process.log
        assert not (self.folder / "touched").exists()


def start_guarded(processes: Processes, allow: tuple[str, ...] = ROLE) -> Guarded:
    """Start both daemons; the limited callers may run what one of the patterns `allow` allows."""
    folder = processes.folder
    main = folder / "guarded.conf"
    quoted = " ".join(f'"{pattern}"' for pattern in allow)
    main.write_text(CONFIGURATION.format(folder=folder, user=OWN_USER, allow=quoted))
    manager = processes.manager("barca", "-c", str(main), "--listen", str(folder / "limited"))
    own = folder / "node.conf"
    own.write_text("".join(re.findall(r"(?m)^(?:cluster|exec|Datasource) .*\n", main.read_text())))
    return Guarded(manager, processes.node("east1", "default", "-c", str(own)), folder)
