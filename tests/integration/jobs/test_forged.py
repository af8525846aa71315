"""Forged jobs in Redis: only the jobs that the node's own agent has queued run, unchanged."""

import http.server
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.daemons import Processes
from tests.integration.jobs.test_jobs import Site, site_of, workers
from tests.servers import Server
from tests.waiting import wait_until_sync

RQ = f"{Keys('forged').rq_prefix}:"
NOW = "2026-01-01T00:00:00.000000Z"
FUNCTION = "eccmgr long command"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder / "redis").start()
    yield made
    made.stop()


@pytest.fixture
def client(server: Server) -> Iterator["redis.Redis"]:
    with redis.Redis(port=server.port) as made:
        yield made


@pytest.fixture
def site(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_of(Processes(f"redis://{server.address}/0", "forged", folder), folder, monkeypatch) as made:
        wait_until_sync(lambda: len(workers(made.node)) == 1, "there is a job worker")
        yield made


def data(function: str, *args: object) -> bytes:
    return zlib.compress(json.dumps([function, None, args, {}]).encode())


def put(client: "redis.Redis", job: str, queued: bool = True, **fields: bytes | str) -> None:
    known = {"created_at": NOW, "enqueued_at": NOW, "origin": "east1", "status": "queued", "timeout": "60"}
    client.hset(f"{RQ}job:{job}", mapping={**known, "data": data(FUNCTION), **fields})  # type: ignore[arg-type]
    if queued:
        client.rpush(f"{RQ}queue:east1", job)


def is_refused(site: Site, job: str) -> Callable[[], bool]:
    return lambda: any("job refused" in line and f"job={job}" in line for line in site.node.log.splitlines())


def works(site: Site) -> None:
    """Check that its jobs run as before."""
    site.let("g")
    site.send("trial hold g")
    site.shows("trial hold g", "east1 held g for .*")
    assert site.node.popen.poll() is None
    assert "Traceback" not in site.node.log, site.node.log


def test_no_function_that_a_job_names_is_run(site: Site, client: "redis.Redis", folder: Path) -> None:
    mark = folder / "mark"
    for number, function in enumerate(("os.system", "subprocess.getoutput", "worker.jobs.horse.perform")):
        put(client, f"evil{number}", data=data(function, f"touch {mark}"))
        wait_until_sync(is_refused(site, f"evil{number}"), f"{function} is refused")
    works(site)
    assert not mark.exists()


def test_job_not_queued_by_the_agent_never_runs(site: Site, client: "redis.Redis") -> None:
    put(client, "evil")
    wait_until_sync(is_refused(site, "evil"), "it is refused")
    put(client, "..")
    works(site)


@pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
@pytest.mark.parametrize("status", ["queued", "started"])
def test_no_callback_of_a_job_is_called(
    site: Site, client: "redis.Redis", folder: Path, kind: str, status: str
) -> None:
    # RQ would call it with the job: it takes any argument and leaves a trace.
    put(client, "evil", status == "queued", status=status, **{f"{kind}_callback_name": "trial_module.touch_here"})
    if status == "started":
        # Its worker is gone, so it counts as abandoned.
        client.zadd(f"{RQ}wip:east1", {"evil:1": time.time() - 60})
        wait_until_sync(lambda: client.zcard(f"{RQ}wip:east1") == 0, "it is abandoned", timeout_s=60)
    else:
        wait_until_sync(is_refused(site, "evil"), "it is refused")
    works(site)
    assert not (folder / "touched").exists()


def test_no_webhook_of_a_job_is_called(site: Site, client: "redis.Redis") -> None:
    asked = []

    class Asked(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with http.server.HTTPServer(("127.0.0.1", 0), Asked) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        hook = {"url": f"http://127.0.0.1:{web.server_port}/", "job_status": "failed"}
        put(client, "evil", webhooks=json.dumps([hook]))
        wait_until_sync(is_refused(site, "evil"), "it is refused")
        works(site)
        web.shutdown()
        thread.join()
    assert asked == []


def test_a_job_whose_text_was_changed_runs_nothing(site: Site, client: "redis.Redis", folder: Path) -> None:
    site.send("trial hold a")
    site.begins("a")
    site.send("trial hold b")
    site.shows("trial hold b", r"\(running, job [0-9a-f]{12}, queued\)")
    mark = folder / "mark"
    client.hset(f"{RQ}job:{site.job('queued')}", "data", data("os.system", f"touch {mark}"))
    site.let("a")
    site.shows("trial hold b", "failed: .*it asks for another function than ours")
    assert site.runs("b") == []
    assert not mark.exists()
    works(site)


def test_a_job_that_is_queued_again_runs_once(site: Site, client: "redis.Redis") -> None:
    site.send("trial hold a")
    site.begins("a")
    job = site.job("running")
    client.rpush(f"{RQ}queue:east1", job, job)
    site.let("a")
    wait_until_sync(is_refused(site, job), "it is refused")
    works(site)
    assert len(site.runs("a")) == 1


def test_journal_is_readable_by_its_user_only(site: Site, folder: Path) -> None:
    site.send("trial hold a")
    site.begins("a")
    files = [path for path in (folder / "eccmgr" / "jobs").rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    site.let("a")
    site.shows("trial hold a", "east1 held a for .*")
    wait_until_sync(lambda: not any(path.exists() for path in files), "what is finished is forgotten")
