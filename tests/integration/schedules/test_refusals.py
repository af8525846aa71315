"""Redis refuses when a command is due: the command runs late and once, or is reported as missed. It is never lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Processes, ask_sync
from tests.servers import Server
from tests.waiting import wait_until_sync


class Site:
    """A manager and a node on a server of their own."""

    def __init__(self, server: Server, folder: Path, grace_s: float) -> None:
        self.server = server
        self.processes = Processes(f"redis://{server.address}/0", "refused", folder)
        file = folder / "sched.conf"
        file.write_text(f"sched {{ sched_grace = {grace_s} }}\n")
        self.manager = self.processes.manager("barca", "-c", str(file))
        self.node = self.processes.node("east1")

    def ask(self, line: str) -> str:
        return ask_sync(self.manager.endpoint, line)

    def refuse(self, *command: str) -> None:
        self.server.call(*command)

    def runs(self, state: str) -> int:
        """The number of runs in this state."""
        return sum(f" {state} " in line for line in self.ask("sched history 100").splitlines())


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder / "redis").start()
    yield made
    made.stop()


@pytest.fixture
def site(server: Server, folder: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(server, folder, getattr(request, "param", 300))
    yield made
    made.processes.end()


REFUSALS = {
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
}


def refused(site: Site) -> bool:
    """Whether Redis has refused the manager since the schedule was due."""
    return site.manager.log.count("redis refuses") > 0


@pytest.mark.parametrize("kind", list(REFUSALS))
def test_due_schedule_runs_late_after_refusals_once(site: Site, kind: str) -> None:
    begin, end = REFUSALS[kind]
    assert site.ask("sched in 1 broadcast uptime").startswith("Job ")
    site.refuse(*begin)
    wait_until_sync(lambda: site.server.call("TIME") and refused(site), "the manager is refused")
    wait_until_sync(lambda: "broadcast uptime" in site.ask("sched list"), "it is due still")
    site.refuse(*end)
    wait_until_sync(lambda: site.runs("ok") == 1, "it has run")
    assert site.ask("sched list").count("uptime") == 0
    assert len([line for line in site.ask("history").splitlines() if line.endswith("uptime")]) == 1
    assert site.runs("failed") + site.runs("lost") + site.runs("missed") == 0


@pytest.mark.parametrize("site", [3], indirect=True)
def test_run_impossible_within_its_grace_is_missed(site: Site) -> None:
    assert site.ask("sched in 1 broadcast uptime").startswith("Job ")
    site.refuse("CONFIG", "SET", "maxmemory", "1")
    first = int(site.server.call("TIME")[0])
    wait_until_sync(lambda: int(site.server.call("TIME")[0]) > first + 5, "the grace is over")
    site.refuse("CONFIG", "SET", "maxmemory", "0")
    wait_until_sync(lambda: site.runs("missed") == 1, "it is missed")
    assert "uptime" not in site.ask("history")


def test_schedule_that_redis_refuses_is_reported_not_stored(site: Site) -> None:
    site.refuse("CONFIG", "SET", "maxmemory", "1")
    answer = site.ask("sched in 60 broadcast uptime")
    assert answer.startswith("Nothing was scheduled: Redis refused: its memory is full"), answer
    site.refuse("CONFIG", "SET", "maxmemory", "0")
    assert "uptime" not in site.ask("sched list")
