"""The page of an address shows what each node last said that it believes, even if it was stopped since."""

import json
import re
import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import redis

from eccmgr.redis.keys import Keys
from tests.daemons import Process, Processes
from tests.vips import ONE_VIP
from tests.waiting import wait_until_sync


def page(manager: Process, form: str = "") -> str:
    """The page of the address, or another form of it."""
    found = re.search(r"url=(\S+)", manager.log)
    assert found is not None
    with urlopen(f"{found[1]}vips/10.1.1.1{form}", timeout=60) as answer:
        return str(answer.read().decode())


def beliefs(manager: Process) -> dict[str, tuple[str, str | None]]:
    """For each participant whether it differs, and the owner that it believes in."""
    try:
        vip = json.loads(page(manager, ".json"))
    except HTTPError:
        return {}  # No node states the address yet.
    return {row["node"]: (row["belief"], (row["believes"] or {}).get("owner")) for row in vip["participants"]}


def test_stopped_node_believes_what_it_said_last(processes: Processes, folder: Path, cluster_keys: Keys) -> None:
    manager, file = processes.manager("barca", "--http", "127.0.0.1:0"), folder / "vips.conf"
    file.write_text(ONE_VIP)
    nodes = {name: processes.start("ecnode", name, "-c", str(file), wait=False) for name in ("a1", "a2")}
    shown: dict[str, tuple[str, str | None]] = {}

    def all_agree() -> bool:
        shown.clear()
        shown.update(beliefs(manager))
        return shown.keys() == nodes.keys() and {belief for belief, _ in shown.values()} == {"same"}

    wait_until_sync(all_agree, "both nodes agree", 120)
    assert "All believe what Redis has on record" in page(manager)
    owner = shown["a1"][1]
    assert owner in nodes
    other = next(name for name in nodes if name != owner)
    nodes[owner].popen.send_signal(signal.SIGSTOP)
    try:
        expected = {owner: ("differs", owner), other: ("same", other)}
        wait_until_sync(lambda: beliefs(manager) == expected, "the stopped node is behind", 120)
        assert f"{owner} (absent, differs: owned,safe by {owner})" in page(manager, ".txt")
        wait_until_sync(
            lambda: f"1 of 2 differs from the record in Redis: {owner}" in page(manager), "the page says so"
        )
        with redis.Redis.from_url(processes.url) as client:
            client.hset(cluster_keys.vip_beliefs, owner, b"<script>alert(1)</script>")
        wait_until_sync(lambda: "what it believes cannot be read" in page(manager), "what is none is not shown", 60)
    finally:
        nodes[owner].popen.send_signal(signal.SIGCONT)
    wait_until_sync(all_agree, "they agree again", 120)
    nodes[other].end()
    with redis.Redis.from_url(processes.url) as client:
        assert client.hkeys(cluster_keys.vip_beliefs) == [owner.encode()], "a node that leaves takes its beliefs back"
