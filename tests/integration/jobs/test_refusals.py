"""Redis refuses while a job runs: the job goes on, and its result is written once Redis accepts it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, Processes, ask_sync
from tests.integration.jobs.test_jobs import Site, site_of, workers
from tests.integration.test_redis_cluster import RedisCluster
from tests.servers import Server
from tests.waiting import wait_until_sync

REFUSALS = {
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "NOREPLICAS": (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
    "NOPERM": (("ACL", "SETUSER", "default", "-@write"), ("ACL", "SETUSER", "default", "+@all")),
}


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder / "redis").start()
    yield made
    made.stop()


@pytest.fixture
def site(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_of(Processes(f"redis://{server.address}/0", "refused", folder), folder, monkeypatch) as made:
        yield made


def refuses(server: Server) -> bool:
    return "refuse" in str(server.call("EVAL", "return redis.pcall('SET', 'x', '1').err and 'refuses' or ''", 0))


@pytest.mark.parametrize("code", list(REFUSALS))
def test_job_ending_while_redis_refuses_is_kept(site: Site, server: Server, code: str) -> None:
    begin, end = REFUSALS[code]
    site.send("trial hold a")
    (horse,) = [site.begins("a")]
    site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
    (worker,) = workers(site.node)
    server.call(*begin)
    assert refuses(server)
    site.let("a")
    # The job has written its mark, and waits for Redis.
    wait_until_sync(lambda: (site.folder / "held-a").exists() or code in site.node.log, f"the job is told {code}")
    assert psutil.pid_exists(horse)
    server.call(*end)
    site.shows("trial hold a", "east1 held a for .*")
    assert workers(site.node) == [worker], site.node.log
    site.send("trial hold b")
    site.begins("b")
    site.let("b")
    site.shows("trial hold b", "east1 held b for .*")
    assert "Traceback" not in site.node.log, site.node.log
    assert "Fatal Python error" not in site.node.log, site.node.log


def test_job_requested_during_refusals_begins_later(site: Site, server: Server) -> None:
    site.let("a")
    site.send("trial hold b")
    site.begins("b")
    # Redis takes the node's own writes, and refuses those of RQ.
    server.call("ACL", "SETUSER", "default", "-rpush")
    site.send("trial hold a")
    wait_until_sync(lambda: "job not queued yet" in site.node.log, "the job is refused")
    server.call("ACL", "SETUSER", "default", "+rpush")
    site.let("b")
    site.shows("trial hold a", "east1 held a for .*")


def test_worker_ending_during_a_read_stays_silent() -> None:
    program = (
        "import threading, time\n"
        "from worker.jobs.lines import WorkerLines\n"
        "threading.Thread(target=lambda: list(WorkerLines(0)), daemon=True).start()\n"
        "time.sleep(0.1)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("runs", [True, False])
def test_job_survives_a_move_of_its_slot(
    redis_cluster: RedisCluster, keys: Keys, folder: Path, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    with site_of(Processes(redis_cluster.url, keys.cluster, folder), folder, monkeypatch) as site:
        first = redis_cluster.owner
        target = next(node for node in redis_cluster.nodes[:3] if node is not first)
        if runs:
            site.send("trial hold a")
            site.begins("a")
            site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
        wait_until_sync(lambda: len(workers(site.node)) == 1, "there is a job worker")
        (worker,) = workers(site.node)
        redis_cluster.begin_move(target)
        site.let("a")
        redis_cluster.end_move(target)
        if not runs:
            wait_until_sync(lambda: site.ask("cluster jobs") == "No jobs", "the new owner is found")
            wait_until_sync(
                lambda: ask_sync(site.manager.endpoint, "retrieve x").startswith("Nothing"), "the manager finds it"
            )
            site.send("trial hold a")
        site.shows("trial hold a", "east1 held a for .*")
        assert workers(site.node) == [worker], site.node.log
