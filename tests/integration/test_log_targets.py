"""A target that cannot be written stops only what goes there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Processes, ask_sync
from tests.fault.logs.disks import freeze, freezing_disk, thaw
from tests.integration.test_log_collection import Collection
from tests.waiting import wait_until_sync


@pytest.fixture
def site(processes: Processes) -> Collection:
    return Collection(processes)


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    path = folder / "disk"
    path.mkdir()
    with freezing_disk(path, 32) as made:
        if not made:
            pytest.skip("root cannot mount a file system here" if os.geteuid() == 0 else "needs root")
        yield path


@pytest.mark.timeout(400)
def test_target_that_hangs_stops_no_other(site: Collection, disk: Path) -> None:
    site.manager("barca", more=f'Node "west1" {{ logfile = "{disk}/%{{l}}/%{{n}}" }}')
    hanging = disk / "mainlog" / "west1"
    for node in ("west1", "east1"):
        site.node(node)
        site.write(node, 5)
    site.settle("east1", site.written["east1"])
    wait_until_sync(lambda: hanging.exists() and hanging.stat().st_size > 0, "the lines of west1 are there")
    freeze(disk)
    try:
        for _ in range(3):
            for node in ("west1", "east1"):
                site.write(node, 5)
            site.settle("east1", site.written["east1"])
    finally:
        thaw(disk)
    expected = "".join(site.written["west1"])
    wait_until_sync(lambda: len(hanging.read_text()) >= len(expected), "the lines of west1 are there")
    assert hanging.read_text() == expected


@pytest.mark.timeout(400)
def test_subscriber_that_cannot_write_delays_no_other(site: Collection) -> None:
    folder = site.folder / "east1"
    folder.mkdir()
    (site.folder / "barca.conf").write_text(
        f'Logs {{ logfile = "{site.out}/%{{l}}/%{{n}}"  Subscriber = ( master archive ) }}'
    )
    (site.folder / "east1.conf").write_text(
        f"""
        cluster {{ logs = [ mainlog = "{folder}/main.log" ]  logs_pipe = 131072  plumber = memory  fence = none }}
        ec_logger "ec_logger_cluster" {{ mainlog = "cluster://{folder}/main.log?subscribers=master,archive" }}
        """
    )
    target, archive = site.out / "mainlog" / "east1", site.out / "mainlog" / "east1.archive"
    archive.mkdir(parents=True)
    site.processes.manager("barca", "-c", str(site.folder / "barca.conf"))
    (folder / "main.log").write_bytes(b"%s\n" % os.urandom(40).hex().encode() * 5000)
    expected = (folder / "main.log").read_bytes()
    site.processes.node("east1", "east", "-c", str(site.folder / "east1.conf"))
    wait_until_sync(lambda: target.exists() and target.read_bytes().startswith(expected), "master has all lines")
    archive.rmdir()
    wait_until_sync(lambda: archive.exists() and archive.read_bytes().startswith(expected), "the archive has them too")


@pytest.mark.timeout(400)
def test_target_refused_at_the_start_is_shown(site: Collection) -> None:
    manager = site.manager()
    site.node()
    site.write("east1", 5)
    site.settles()
    target = site.target("east1")
    assert target is not None
    manager.end()
    target.unlink()
    target.mkdir()
    site.write("east1", 5)
    manager = site.manager()

    def fault() -> object:
        (row,) = json.loads(ask_sync(manager.endpoint, "json show logs"))["logs"]
        return row["fault"]

    wait_until_sync(lambda: fault() == "Is a directory", "the fault is shown")
    target.rmdir()
    wait_until_sync(lambda: site.collected("east1") == site.written["east1"][5:], "the new lines are there")
    assert fault() == ""
    assert manager.log.count("log not collected") == 1
