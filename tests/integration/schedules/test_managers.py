"""Schedules on real managers, which are killed, restarted, and asked by an operator."""

import json
import re
import signal

import pytest

from tests.daemons import OWN_USER, Process, Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")


def past(manager: Process) -> list[dict[str, str]]:
    """The runs that have ended."""
    runs: list[dict[str, str]] = json.loads(ask_sync(manager.endpoint, "json sched history 1000"))["runs"]
    return [each for each in runs if each["state"] != "running"]


def sent(manager: Process) -> int:
    """The number of broadcast commands."""
    return len(ask_sync(manager.endpoint, "history 1000").splitlines())


def test_one_manager_fires_and_another_takes_over(processes: Processes) -> None:
    managers = {name: processes.manager(name) for name in ("one", "two")}
    processes.node("east1")
    ask_sync(managers["one"].endpoint, "sched every 1 broadcast pid")
    wait_until_sync(lambda: len(past(managers["one"])) >= 2, "it was run twice")
    first = past(managers["one"])[-1]["by"]
    managers.pop(first).end(signal.SIGKILL)
    (left,) = managers.values()
    wait_until_sync(lambda: any(each["by"] != first for each in past(left)), "the other one runs it")
    ask_sync(left.endpoint, f"sched delete {past(left)[0]['id']}")
    runs = past(left)
    assert len({each["due"] for each in runs}) == len(runs)
    assert sent(left) in (len(runs), len(runs) + 1)


def test_schedule_survives_all_managers_and_runs_later(processes: Processes) -> None:
    manager = processes.manager("one")
    processes.node("east1")
    said = ask_sync(manager.endpoint, "sched in 2 broadcast pid")
    manager.end(signal.SIGKILL)
    again = processes.manager("two")
    wait_until_sync(lambda: past(again), "it was run")
    assert [(each["id"], each["state"], each["by"]) for each in past(again)] == [(said.split()[1], "ok", "two")]
    assert "to 1 node" in ask_sync(again.endpoint, "sched history")


def test_a_node_has_schedules_of_its_own(processes: Processes, folder: object) -> None:
    main = processes.folder / "sched.conf"
    main.write_text("sched { }")
    node, other = processes.node("east1", "east", "-c", str(main)), processes.node("east2", "east", "-c", str(main))
    ask_sync(node.endpoint, "sched in 0 cluster nodename")
    wait_until_sync(lambda: past(node), "it was run")
    assert ask_sync(node.endpoint, "sched history").endswith("cluster nodename: east1")
    assert past(other) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sched list", "JOB ID  NEXT RUN TIME  REC  COMMAND"),
        ("sched in x pid", "'x' is not a number of seconds up to 316224000"),
        ("sched in 5 nonsense", "Unknown command: 'nonsense'. Type help for a list."),
        ("sched in 5 unicast", "Usage: unicast NODE COMMAND"),
        (
            "sched in 5 cluster info",
            "cluster commands run on a node, not on the cluster manager; use: broadcast cluster",
        ),
        ("sched in 5 sched list", "sched commands cannot be scheduled"),
        ("sched in 5 xml sched list", "sched commands cannot be scheduled"),
        ('sched in 5 "SCHED" list', "sched commands cannot be scheduled"),
        ("sched in 5 xml", "The command is empty: write what is to be run"),
        ("sched in 5 broadcast 'pid", "A quote is never closed"),
        ("sched every 60 unicast east1 ''", "The command is empty"),
        ("sched in 5 gather ''", "The command is empty"),
        ("sched in 5 'pid", "A quote is never closed"),
        ("sched history x", "sched history: NUMBER takes a whole number, not 'x'"),
        ("sched at 1990000000000 preview @all", "; a Unix time is in seconds: 1990000000 is 2033-01-22T09:46:40Z"),
        ("sched at 1 preview @all", "1970-01-01T00:00:01Z is in the past"),
        ("sched delete nothing", "No schedule 'nothing'"),
        ("sched", "Usage: sched at | delete | every | history | in | list"),
    ],
)
def test_what_an_operator_types_is_answered(processes: Processes, command: str, said: str) -> None:
    assert said in ask_sync(processes.manager().endpoint, command)


def test_lists_show_the_beginning_of_a_long_command(processes: Processes) -> None:
    manager = processes.manager()
    long = "gather @{" + " ".join(f"east{number}" for number in range(5000)) + "} pid"
    assert ask_sync(manager.endpoint, f"sched in 5000 {long}").startswith("Job ")
    listed = ask_sync(manager.endpoint, "sched list").splitlines()[1]
    assert f"{long[:150]}" in listed
    assert "…" in listed
    assert len(listed) < 400
    (told,) = json.loads(ask_sync(manager.endpoint, "json sched list"))["schedules"]
    assert told["command"].endswith("…")


def test_listing_names_next_run_and_hides_secrets(processes: Processes) -> None:
    manager = processes.manager()
    job = ask_sync(manager.endpoint, 'sched every "0 3 1 1 *" broadcast config set Datasource x uri "a;password=b"')
    listed = ask_sync(manager.endpoint, "sched list").splitlines()[1]
    assert listed.startswith(f"{job.split()[1]}  20")
    assert re.search(rf"\*{{8}}  20\d\d-\d\d-\d\dT\d\d:00:00[+-]\d\d:\d\d  0 3 1 1 \*  {re.escape(OWN_USER)}$", listed)
    assert "-01-01T03:00:00Z  y    broadcast config set Datasource x uri ********" in listed
    assert ask_sync(manager.endpoint, f"sched delete {job.split()[1].upper()}") == f"Deleted {job.split()[1]}"
