"""Audit series: programs count, managers write each window to one file, and show what the cluster counts."""

import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from eccmgr.node.embedded import Node
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from tests.daemons import Process, Processes, ask
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(300)]


def _totals(folder: Path, series: str = "spam") -> Counter[str]:
    """The counts in all files of a series."""
    found: Counter[str] = Counter()
    for path in folder.glob(f"{series}.*"):
        for line in path.read_text().splitlines():
            counted = json.loads(line)
            assert sum(counted["nodes"].values()) == counted["total"]
            found[counted["key"]] += counted["total"]
    return found


def _configuration(folder: Path, out: Path, more: str = "") -> str:
    path = folder / "managers.conf"
    path.write_text(
        f"cluster {{ heartbeats_per_sec = 10  session_lease = 0.8  max_step = 0.3 }}\n"
        f'as_logger {{ log_interval = 1  base_dir = "{out}" {more} }}\n'
    )
    return str(path)


async def test_windows_are_exact_over_killed_managers(folder: Path, processes: Processes) -> None:
    url, cluster = processes.url, processes.cluster
    out, chance = folder / "out", random.Random(7)
    out.mkdir()
    flags = ("-c", _configuration(folder, out))
    expected: Counter[str] = Counter()
    managers: list[Process] = [processes.start("eccmgr", name, *flags, wait=False) for name in ("barca", "milan")]
    async with Node("shop1", redis=url, cluster=cluster) as node:
        spam = node.series("spam")
        for _ in range(8):
            windows = len(list(out.glob("spam.*")))

            def has_more(seen: int = windows) -> bool:
                for _ in range(50):
                    key = f"10.0.{chance.randrange(3)}.{chance.randrange(20)}"
                    spam.add(key)
                    expected[key] += 1
                return len(list(out.glob("spam.*"))) > seen

            await wait_until(has_more, "a window is written")
            victim = chance.randrange(2)
            managers[victim].end(signal.SIGKILL)
            managers[victim] = processes.start("eccmgr", ("barca", "milan")[victim], *flags, wait=False)
    await wait_until(lambda: _totals(out) == expected, "every count is in one window")
    await wait_until(lambda: not list(out.glob(".*")), "nothing is left of killed managers")


async def test_series_are_chosen_as_the_configuration_says(folder: Path, processes: Processes) -> None:
    url, cluster = processes.url, processes.cluster
    out = folder / "out"
    flags = ("-c", _configuration(folder, out, 'series_include_default = "none"  series_include = ( "spam|ham.*" )'))
    manager = processes.manager("barca", *flags)
    async with Node("shop1", redis=url, cluster=cluster) as node:
        for name in ("spam", "ham1", "eggs"):
            node.series(name).add("10.0.0.103", 3)
        await wait_until(lambda: _totals(out) and _totals(out, "ham1"), "the chosen series are written")
        assert not list(out.glob("eggs.*"))
        (answer,) = await ask(manager.endpoint, 'config set as_logger series_include = ( "eggs" )')
        await wait_until(lambda: _totals(out, "eggs") == {"10.0.0.103": 3}, f"the change takes effect: {answer}")


async def test_shared_shows_a_tree_of_prefixes(folder: Path, processes: Processes) -> None:
    url, cluster = processes.url, processes.cluster
    manager = processes.manager("barca")
    async with Node("shop1", redis=url, cluster=cluster) as one, Node("shop2", redis=url, cluster=cluster) as two:
        for address in ("10.0.0.103", "10.0.0.104", "10.0.7.1"):
            one.series("spam").add(address, 2)
        two.series("spam").add("192.168.1.9", 5)
        two.series("domains").add("example.com")
        link, keys = Link(url), Keys(cluster)

        async def have_come() -> bool:
            sizes = [await link.call("ZCARD", keys.series_counts(name)) for name in ("spam", "domains")]
            return sizes == [4, 1]

        await wait_until(have_come, "all have come")
        await link.close()
        listed, shown, of_one, domains = await ask(
            manager.endpoint,
            *("cluster shared list", "cluster shared show spam", "cluster shared show spam from shop2"),
            "cluster shared show domains",
        )
    assert [line.split()[:2] for line in listed.splitlines()] == [
        ["SERIES", "ENTRIES"],
        ["domains", "1"],
        ["spam", "4"],
    ]
    assert shown.splitlines() == [
        "10.0.0.0/16  6",
        "  10.0.0.0/24  4",
        "    10.0.0.103  2",
        "    10.0.0.104  2",
        "  10.0.7.1  2",
        "192.168.1.9  5",
    ]
    assert of_one == "192.168.1.9  5"
    assert [line.split() for line in domains.splitlines()] == [
        ["KEY", "COUNT", "NODES"],
        ["example.com", "1", "shop2=1"],
    ]
