"""An incident is read from the main log of one manager alone: who did what, and why."""

import contextlib
import re
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import OWN_USER, Process, Processes, ask_sync
from tests.servers import Server
from tests.times import QUICK_TIMES
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync

SLOW = 'exec "slow" { commands = [ sleep = "/bin/sleep 50" ] }\n'


class Scene:
    """Two managers, and three nodes with one floating address."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.processes = Processes(f"redis://{server.address}/0", "incident", folder)
        nodes, managers = folder / "nodes.conf", folder / "managers.conf"
        self.mainlog = folder / "mainlog"
        nodes.write_text(ONE_VIP + SLOW)
        managers.write_text(f"cluster {{ {QUICK_TIMES} }}\n")
        own = folder / "milan.conf"
        own.write_text(managers.read_text() + f'ec_logger "ec_logger" {{ mainlog = "{self.mainlog}" }}\n')
        self.barca = self.processes.manager("barca", "-c", str(managers))
        self.milan = self.processes.manager("milan", "-c", str(own))
        self.nodes = {name: self.processes.node(name, "default", "-c", str(nodes)) for name in ("a1", "a2", "a3")}

    def told(self, pattern: str) -> re.Match[str]:
        """Wait until a line of the log fits."""
        found: list[re.Match[str]] = []

        def is_told() -> bool:
            found[:] = re.finditer(pattern, self.mainlog.read_text())
            return bool(found)

        wait_until_sync(is_told, f"the log tells {pattern}", timeout_s=60)
        return found[-1]

    def ask(self, command: str, daemon: Process | None = None) -> str:
        return ask_sync((daemon or self.milan).endpoint, command)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="ecc-") as made, contextlib.ExitStack() as end:
        server = Server(Path(made) / "redis").start()
        end.callback(server.stop)
        found = Scene(Path(made), server)
        end.callback(found.processes.end)
        yield found


@pytest.mark.timeout(300)
def test_an_incident_is_read_from_one_log(scene: Scene) -> None:
    owner = scene.told(r'event="vip taken" vip=10\.1\.1\.1 node=(\w+)')[1]
    scene.nodes[owner].end(signal.SIGKILL)
    scene.told(rf'level=warning program=eccmgr event="node lost" node={owner} .*reason="no heartbeat came')
    moved = rf'event="vip taken" vip=10\.1\.1\.1 node=a\d from={owner} epoch=\d+ reason="?[\w; ]+"? outage_ms=\d+'
    scene.told(moved)

    gather = threading.Thread(target=scene.ask, args=("gather --timeout 50 exec:slow sleep",))
    gather.start()
    sent = rf'event="command sent" id=(\w+) text="exec:slow sleep" target=@all by={OWN_USER} expected=3 absent={owner}'
    made = scene.told(sent)[1]
    scene.ask(f"abort #{made}", scene.barca)
    scene.told(rf'event="command aborted" id={made} aborted_by={OWN_USER} at="another manager"')
    gather.join(60)
    scene.told(rf'event="command ended" id={made} .*by={OWN_USER} expected=3 ok=0 .*aborted=a')

    scene.ask("config set cluster results_ttl = 1234")
    scene.told(rf'event="configuration changed" option=cluster::results_ttl change=set now=1234 user={OWN_USER}')
    assert "error" not in scene.ask("flush control cache")
    scene.told(rf'event="results flushed" commands=\d+ by={OWN_USER}')
    refused = scene.ask("config set cluster session_lease = 0.1")
    reason = re.escape(refused.splitlines()[0][:30])
    scene.told(rf'level=warning .*event="configuration not changed" user={OWN_USER} reason="{reason}')

    scene.barca.end(signal.SIGKILL)
    scene.told(r'event="manager lost" manager=barca')
    scene.told(r'event="leader changed" leader=milan .*before=#mgr\S*#barca')


@pytest.mark.timeout(300)
def test_the_end_of_a_broadcast_is_told(scene: Scene) -> None:
    for daemon in scene.nodes.values():
        wait_until_sync(lambda daemon=daemon: "event=ready" in daemon.log, "it is ready")
    sent = scene.ask("broadcast version").split()[1]
    scene.told(rf'event="command ended" id={sent} text=version target=@all by={OWN_USER} expected=3 ok=3 seconds=')
    slow = scene.ask("broadcast exec:slow sleep").split()[1]
    scene.nodes["a1"].end(signal.SIGKILL)
    scene.ask(f"abort #{slow}")
    scene.told(rf'event="command aborted" id={slow} text="exec:slow sleep" target=@all by={OWN_USER} aborted_by=')
    scene.told(rf'event="command ended" id={slow} .* ok=0 .*lost=a1')
