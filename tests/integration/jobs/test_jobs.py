"""Long commands as jobs, with real processes: the results show each job's end, whichever process dies meanwhile."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")


class Site:
    """A manager and a node with the trial module."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self.processes, self.folder = processes, folder
        self.manager = processes.manager()
        self.node = self.start_node()

    def start_node(self, *lines: str) -> Process:
        main = self.folder / "trial.conf"
        main.write_text("\n".join((f'trial {{ folder = "{self.folder}" }}', *lines)))
        self.node = self.processes.node("east1", "east", "-c", str(main))
        return self.node

    def send(self, command: str) -> str:
        answer = ask_sync(self.manager.endpoint, f"broadcast {command}")
        assert answer.endswith(" to 1 node"), answer
        return answer.split()[1]

    def line(self, command: str) -> str:
        """The line that `retrieve` shows for the node."""
        return "\n".join(ask_sync(self.manager.endpoint, f"retrieve {command}").splitlines()[1:])

    def shows(self, command: str, wanted: str) -> None:
        try:
            wait_until_sync(lambda: re.fullmatch(f"east1: {wanted}", self.line(command)), f"{command} shows {wanted}")
        except AssertionError:
            raise AssertionError(f"{self.line(command)}\n{self.node.log}") from None

    def ask(self, command: str) -> str:
        """The node's own answer."""
        return ask_sync(self.node.endpoint, command)

    def job(self, stage: str) -> str:
        """The one job that is at this stage."""
        (found,) = [each["job"] for each in json.loads(self.ask("json cluster jobs"))["jobs"] if each["stage"] == stage]
        return str(found)

    def let(self, name: str) -> None:
        """Let `hold NAME` end."""
        (self.folder / name).touch()

    def runs(self, name: str) -> list[int]:
        """The ids of the processes in which `hold NAME` has begun."""
        marks = self.folder / f"began-{name}"
        return [int(line) for line in marks.read_text().split()] if marks.exists() else []

    def begins(self, name: str, times: int = 1) -> int:
        wait_until_sync(lambda: len(self.runs(name)) == times, f"{name} has begun {times} times")
        return self.runs(name)[-1]


def workers(node: Process) -> list[psutil.Process]:
    """The job workers of a node."""
    return [each for each in psutil.Process(node.popen.pid).children() if "worker.jobs" in each.cmdline()]


@contextlib.contextmanager
def site_of(processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "trial"))
    made = Site(processes, folder)
    try:
        yield made
    finally:
        left = [child for each in processes.started if each.popen.poll() is None for child in workers(each)]
        for name in "abcdefgh":
            made.let(name)
        processes.end()
        psutil.wait_procs(left, 30)


@pytest.fixture
def site(processes: Processes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with site_of(processes, folder, monkeypatch) as made:
        yield made


def test_job_shows_its_progress_then_its_result(site: Site) -> None:
    site.send("trial hold a")
    site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
    facts = json.loads(ask_sync(site.manager.endpoint, "json retrieve trial hold a"))
    assert facts["nodes"][0]["state"] == "running"
    assert facts["nodes"][0]["job"] in site.ask("cluster jobs")
    site.let("a")
    site.shows("trial hold a", "east1 held a for .*")
    assert ask_sync(site.manager.endpoint, "history 1").split()[-4:] == ["1/1", "trial", "hold", "a"]


def test_a_manager_shows_the_jobs_of_nodes(site: Site) -> None:
    endpoint = site.manager.endpoint
    assert ask_sync(endpoint, "jobs") == "No jobs"
    command = site.send("trial hold a")
    site.send("trial hold b")

    def told() -> list[tuple[str, ...]]:
        jobs = json.loads(ask_sync(endpoint, "json jobs"))["jobs"]
        return [(job["node"], job["command"], job["stage"], job["progress"], job["node_state"]) for job in jobs]

    waiting = ("east1", "trial hold b", "queued", None, "live")
    wait_until_sync(lambda: told() == [("east1", "trial hold a", "running", 40.0, "live"), waiting], "both are shown")
    assert "40 %" in ask_sync(endpoint, "jobs")
    assert f'Command_Id="{command}"' in ask_sync(endpoint, "xml jobs")
    site.let("a")
    wait_until_sync(lambda: ("east1", "trial hold a", "ok", 40.0, "live") in told(), "its end is shown")
    site.node.end(signal.SIGKILL)
    wait_until_sync(lambda: ("east1", "trial hold a", "ok", 40.0, "absent") in told(), "the node is absent")


def test_gather_waits_for_the_end_of_jobs(site: Site) -> None:
    site.let("a")
    assert "east1 held a" in ask_sync(site.manager.endpoint, "gather trial hold a")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("trial fail", "failed: it cannot be done"),
        ("trial break", r"failed: Internal error: ZeroDivisionError \(see the log\)"),
        ("trial die", r"\(lost\)"),
        ("trial limit", "failed: timed out after 0.5 s"),
    ],
)
def test_however_a_job_ends_the_results_say_so(site: Site, command: str, said: str) -> None:
    site.send(command)
    site.shows(command, said)


def test_jobs_run_singly_without_taking_command_slots(site: Site) -> None:
    site.send("trial hold a")
    site.begins("a")
    site.send("trial hold b")
    site.shows("trial hold b", r"\(running, job [0-9a-f]{12}, queued\)")
    assert "1 of 1 answered" in ask_sync(site.manager.endpoint, "gather pid")
    site.let("b")
    assert site.runs("b") == []
    site.let("a")
    site.shows("trial hold b", "east1 held b for .*")


@pytest.mark.parametrize("by", ["job", "command"])
def test_operator_ends_running_or_waiting_jobs(site: Site, by: str) -> None:
    running = site.send("trial hold a")
    horse = site.begins("a")
    waiting = site.send("trial hold b")
    site.shows("trial hold b", r"\(running, .* queued\)")
    for command, stage in ((waiting, "queued"), (running, "running")):
        wanted = site.job(stage) if by == "job" else command
        assert site.ask(f"cluster abort {wanted}") == f"Aborted {wanted}"
        wait_until_sync(lambda stage=stage: stage not in site.ask("cluster jobs"), "it is over")
    site.shows("trial hold a", "failed: aborted by .+")
    site.shows("trial hold b", "failed: aborted by .+")
    for job in json.loads(site.ask("json cluster jobs"))["jobs"]:
        assert "Output:\naborted by " in site.ask(f"cluster jobs {job['job']}")
    wait_until_sync(lambda: not psutil.pid_exists(horse), "its process has ended")
    assert site.runs("b") == []


def test_a_withdrawn_command_ends_its_jobs(site: Site) -> None:
    command = site.send("trial hold a")
    site.begins("a")
    ask_sync(site.manager.endpoint, f"abort #{command}")
    site.shows("trial hold a", r"\(aborted\)")


def test_command_withdrawn_during_absence_does_not_begin(site: Site) -> None:
    site.send("trial hold a")
    site.begins("a")
    command = site.send("trial hold b")
    site.shows("trial hold b", r"\(running, .* queued\)")
    site.node.end(signal.SIGKILL)
    site.shows("trial hold b", r"\(lost\)")
    ask_sync(site.manager.endpoint, f"abort #{command}")
    site.start_node()
    site.shows("trial hold b", r"\(aborted\)")
    site.let("a")
    site.shows("trial hold a", "east1 held a for .*")
    assert site.runs("b") == []


def test_run_ended_while_waiting_expires_with_results(site: Site, cluster_keys: Keys) -> None:
    site.node.end()
    site.start_node("cluster { results_ttl = 2  command_ttl = 1  command_timeout = 1 }")
    site.send("trial hold a")
    site.begins("a")
    registry = f"{cluster_keys.rq_prefix}:canceled:east1"
    with redis.Redis.from_url(site.processes.url) as client:
        for name in "bc":
            command = site.send(f"trial hold {name}")
            site.shows(f"trial hold {name}", r"\(running, .* queued\)")
            job = site.job("queued")
            site.ask(f"cluster abort {command}")
            wait_until_sync(lambda job=job: client.zscore(registry, job) is not None, "it is canceled")
            wait_until_sync(lambda job=job: not client.exists(f"{cluster_keys.rq_prefix}:job:{job}"), "it is gone")
        assert client.zcard(registry) == 1


@pytest.mark.parametrize("how", ["abort", "stop", "kill the worker"])
def test_programs_children_end_with_the_job(site: Site, how: str) -> None:
    program, children = site.folder / "program", site.folder / "children"
    program.write_text(f"#!/bin/sh\nsetsid sh -c 'sleep 1000 & echo $! > {children}' &\nsleep 1000\n")
    program.chmod(0o755)
    site.node.end()
    site.start_node(f'exec "e" {{ commands = [ go = "{program}" ] long = ( go ) }}')
    site.send("exec:e go")
    wait_until_sync(lambda: children.exists() and children.read_text().strip(), "it has started another")
    if how == "abort":
        site.ask(f"cluster abort {site.job('running')}")
        site.shows("exec:e go", "failed: aborted by .*")
    elif how == "stop":
        site.node.end()
        site.shows("exec:e go", r"\(lost\)")
    else:
        (worker,) = workers(site.node)
        worker.kill()
        site.shows("exec:e go", r"\(lost\)")
    wait_until_sync(lambda: not psutil.pid_exists(int(children.read_text())), "it has ended too")


@pytest.mark.parametrize("how", ["end", "abort", "death", "stop"])
def test_nothing_of_a_job_outlives_it(site: Site, how: str) -> None:
    site.send("trial leave a")
    horse = site.begins("a")
    left = site.folder / "left-a"
    wait_until_sync(lambda: left.exists() and left.read_text().strip(), "it has started a program")
    if how == "end":
        site.let("a")
    elif how == "abort":
        site.ask(f"cluster abort {site.job('running')}")
    elif how == "death":
        os.kill(horse, signal.SIGKILL)
    else:
        site.node.end()
    lost = r"\(lost\)"
    site.shows("trial leave a", {"end": "east1 held a .*", "abort": "failed: aborted by .*"}.get(how, lost))
    wait_until_sync(lambda: not psutil.pid_exists(int(left.read_text())), "the program has ended too")
    if how == "stop":
        return
    site.let("b")
    site.send("trial hold b")
    site.shows("trial hold b", "east1 held b for .*")


def test_jobs_are_listed_running_first_then_next(site: Site) -> None:
    for name in "abcd":
        site.send(f"trial hold {name}")
    site.let("a")
    site.begins("b")
    rows = [line.split() for line in site.ask("cluster jobs").splitlines()[1:]]
    assert [(row[1], row[-1]) for row in rows] == [("running", "b"), ("queued", "c"), ("queued", "d"), ("ok", "a")]


@pytest.mark.parametrize(("command", "end"), [("hold", r"\(lost\)"), ("try", "east1 held a for .*")])
def test_killed_workers_job_is_lost_or_retried(site: Site, command: str, end: str) -> None:
    site.send(f"trial {command} a")
    horse = site.begins("a")
    (worker,) = workers(site.node)
    worker.kill()
    wait_until_sync(lambda: not psutil.pid_exists(horse), "its process does not outlive it")
    if command == "try":
        site.begins("a", times=2)
        site.let("a")
    site.shows(f"trial {command} a", end)
    assert len(site.runs("a")) == (2 if command == "try" else 1)


def test_job_survives_the_death_of_its_agent(site: Site) -> None:
    site.send("trial hold a")
    site.begins("a")
    site.send("trial hold b")
    site.shows("trial hold b", r"\(running, .* queued\)")
    orphans = workers(site.node)
    site.node.end(signal.SIGKILL)
    site.shows("trial hold a", r"\(lost\)")
    site.start_node()
    site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
    site.let("a")
    site.let("b")
    site.shows("trial hold a", "east1 held a for .*")
    site.shows("trial hold b", "east1 held b for .*")
    assert len(site.runs("a")) == len(site.runs("b")) == 1
    assert not psutil.wait_procs(orphans, 30)[1]


@pytest.mark.parametrize("ends", ["while it is away", "when it is back"])
def test_a_job_goes_on_while_redis_is_away(
    server: EmbeddedServer, folder: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    with site_of(Processes(server.url, "alone", folder), folder, monkeypatch) as site:
        site.send("trial hold a")
        site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
        with redis.Redis.from_url(server.url) as client:
            client.save()
        server.stop(signal.SIGKILL)
        if ends == "while it is away":
            site.let("a")
        since = time.monotonic()
        # Wait until a sign of life of the job is due.
        wait_until_sync(lambda: time.monotonic() > since + 6, "time passes")
        assert "Traceback" not in site.node.log, site.node.log
        assert site.node.log.count("jobs not looked at") < 4, "it is said again and again"
        server.start()
        if ends == "when it is back":
            site.shows("trial hold a", r"\(running, job [0-9a-f]{12}, 40 %\)")
            site.let("a")
        site.shows("trial hold a", "east1 held a for .*")
        assert len(site.runs("a")) == 1


def test_clean_stop_awaits_the_job_and_keeps_queue(site: Site) -> None:
    site.send("trial hold a")
    site.begins("a")
    site.send("trial hold b")
    site.shows("trial hold b", r"\(running, .* queued\)")
    site.node.popen.send_signal(signal.SIGTERM)
    wait_until_sync(lambda: "event=stopping" in site.node.log, "it is stopping")
    site.let("a")
    assert site.node.popen.wait(60) == 0
    site.shows("trial hold a", "east1 held a for .*")
    assert site.runs("b") == []
    site.let("b")
    site.start_node()
    site.shows("trial hold b", "east1 held b for .*")


def test_job_outlasting_a_clean_stop_is_lost(site: Site) -> None:
    site.send("trial hold a")
    horse = site.begins("a")
    assert site.node.end() == 0, site.node.log
    site.shows("trial hold a", r"\(lost\)")
    wait_until_sync(lambda: not psutil.pid_exists(horse), "its process has ended")
    assert "job over" in site.node.log


def test_over_the_bound_a_long_command_is_refused(site: Site) -> None:
    site.node.end()
    site.start_node("cluster { max_jobs = 2 }")
    for name in "ab":
        site.send(f"trial hold {name}")
        site.shows(f"trial hold {name}", r"\(running, .*\)")
    site.send("trial hold c")
    site.shows("trial hold c", r"refused: too many jobs are queued \(limit 2\)")
    assert "too many jobs are queued (limit 2)" in site.ask("trial hold d")


def test_changed_modules_reach_only_later_jobs(site: Site) -> None:
    site.send("trial hold a")
    site.begins("a")
    other = site.folder / "other"
    other.mkdir()
    assert "folder = " in site.ask(f"config set trial folder {other}")
    site.send("trial hold b")
    wait_until_sync(lambda: (other / "began-b").exists(), "it has begun with the new option")
    site.let("a")
    site.shows("trial hold a", "east1 held a for .*")
    (other / "b").touch()
    site.shows("trial hold b", "east1 held b for .*")


def test_the_tools_of_rq_see_the_queue(site: Site, cluster_keys: Keys) -> None:
    site.send("trial hold a")
    site.begins("a")
    environment = {**os.environ, "RQ_KEY_PREFIX": cluster_keys.rq_prefix}
    command = [Path(sys.executable).parent / "rq", "info", "--raw", "--url", site.processes.url]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "queue east1 0" in told
    assert re.search(r"worker east1-[0-9a-f]{12} \S+ \d+ \S+ busy east1", told) or "busy" in told


def test_no_worker_process_exists_without_long_commands(processes: Processes) -> None:
    node = processes.node("east1")
    assert ask_sync(node.endpoint, "cluster jobs") == "No jobs"
    assert workers(node) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("cluster jobs 000000000000", "No job '000000000000' on this node"),
        ("cluster abort 000000000000", "Command '000000000000' neither waits nor runs on this node"),
        ("help trial hold", "It becomes a job: retrieve shows its progress, then its result."),
    ],
)
def test_what_an_operator_types_is_answered(site: Site, command: str, said: str) -> None:
    assert said in site.ask(command)


def test_command_on_nodes_own_console_becomes_a_job(site: Site) -> None:
    said = site.ask("trial hold a")
    job = said.split()[1]
    assert said == f"Job {job} is queued; cluster jobs {job} shows how it stands"
    site.let("a")
    held: Callable[[], bool] = lambda: "Output:\neast1 held a for " in site.ask(f"cluster jobs {job}")  # noqa: E731
    wait_until_sync(held, "its output is shown")
