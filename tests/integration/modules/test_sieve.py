"""The Sieve module on real nodes, asked through a real manager."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from eccmgr.errors import CommandError
from tests.daemons import Processes, ask_sync
from tests.waiting import wait_until_sync
from worker.modules.sieve import ScriptThread

pytestmark = pytest.mark.usefixtures("nothing_left")

GOOD = 'require ["fileinto"];\nif header :is "Sender" "x" { fileinto "a"; }\n'


def configured(folder: Path, **options: object) -> str:
    lines = "".join(f"  {name} = {value}\n" for name, value in options.items())
    path = folder / "sieve.conf"
    path.write_text(f'sieve "sieve1" {{\n  script_dir = "{folder}/scripts"\n{lines}}}\n')
    (folder / "scripts").mkdir(exist_ok=True)
    return str(path)


def test_broadcast_flush_reports_each_nodes_true_count(processes: Processes, folder: Path) -> None:
    main = configured(folder)
    for number in range(3):
        (folder / "scripts" / f"s{number}").write_text(GOOD)
    manager = processes.manager()
    cached = {"east1": 3, "east2": 0, "west1": 1}
    for name, number in cached.items():
        node = processes.node(name, name[:4], "-c", main)
        for script in range(number):
            assert ask_sync(node.endpoint, f"sieve:sieve1 testfile data s{script}") == "ok: 2 commands"
            assert ask_sync(node.endpoint, f"sieve:sieve1 testfile DATA ./s{script}") == "ok: 2 commands"
    flush = "sieve:sieve1 flush cache"
    assert ask_sync(manager.endpoint, f"broadcast {flush}").endswith(" to 3 nodes")
    wait_until_sync(lambda: "3 of 3" in ask_sync(manager.endpoint, f"retrieve {flush}"), "all have answered")
    assert ask_sync(manager.endpoint, f"retrieve {flush}").splitlines()[1:] == [
        "east1: flushed 3 entries from the script cache",
        "east2: flushed 0 entries from the script cache",
        "west1: flushed 1 entry from the script cache",
    ]


def test_file_elsewhere_is_answered_like_a_missing_one(processes: Processes, folder: Path) -> None:
    node = processes.node("east1", "east", "-c", configured(folder))
    (folder / "scripts" / "link").symlink_to(folder / "sieve.conf")
    (folder / "scripts" / "forbidden").mkdir()
    for file in ("none", "../sieve.conf", f"{folder}/sieve.conf", f"{folder}/none", "link", "forbidden", "/etc/shadow"):
        said = f"There is no readable script '{file}' in {folder}/scripts"
        assert ask_sync(node.endpoint, f"sieve:sieve1 testfile data {file}") == said


def test_changed_file_is_noticed_if_options_say_so(processes: Processes, folder: Path) -> None:
    node = processes.node("east1", "east", "-c", configured(folder))
    script = folder / "scripts" / "s"
    script.write_text(GOOD)
    test = "sieve:sieve1 testfile data s"
    assert ask_sync(node.endpoint, test) == "ok: 2 commands"
    script.write_text("nonsense;")
    assert ask_sync(node.endpoint, test) == "ok: 2 commands"
    assert "Hits: 1\nMisses: 1" in ask_sync(node.endpoint, "sieve:sieve1 stats")
    ask_sync(node.endpoint, "sieve:sieve1 flush cache")
    assert "unknown command 'nonsense'" in ask_sync(node.endpoint, test)
    # After a change of an option there is a new instance, with an empty cache.
    assert ask_sync(node.endpoint, "config set sieve sieve1 cache_size 7") == "cache_size = 7"
    assert "Entries: 0 of 7" in ask_sync(node.endpoint, "sieve:sieve1 stats")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sieve:sieve1 test data keep;", "ok: 1 command"),
        ("sieve:sieve1 test nowhere keep;", "Unknown phase 'nowhere'; there are connect, ehlo, mailfrom"),
        ("sieve:sieve1", "Usage: sieve:sieve1 flush cache | stats | test | testfile"),
        ("sieve:sieve9 stats", "No module 'sieve:sieve9'; loaded: sieve:sieve1"),
        ("help sieve:sieve1 test", "Usage: sieve:sieve1 test PHASE SCRIPT"),
        ("help config sieve cache_life", "default: 600"),
        ("config eval sieve sieve1 cache_size", "1000"),
        ("complete 'sieve:sieve1 testfile d'", "data"),
        ("module list", "Module: sieve:sieve1\n  Scope_Name: sieve\n  Instance_Name: sieve1\n  Enabled: enabled\n"),
    ],
)
def test_what_an_operator_types_is_answered(processes: Processes, folder: Path, command: str, said: str) -> None:
    node = processes.node("east1", "east", "-c", configured(folder))
    assert said in ask_sync(node.endpoint, command)
    assert os.listdir(folder / "scripts") == []


@pytest.mark.asyncio
async def test_only_so_many_scripts_may_wait() -> None:
    release, thread = threading.Event(), ScriptThread()
    waiting = [asyncio.create_task(thread.run(lambda: release.wait(60))) for _ in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(CommandError, match="16 scripts wait already; try again later"):
        await thread.run(lambda: None)
    release.set()
    assert all(await asyncio.gather(*waiting))
    assert await thread.run(lambda: "read") == "read"
