"""No secret, however it is spelt, is shown, logged or kept, and no line of a log is forged."""

import re
from pathlib import Path

import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.daemons import Processes, ask_sync
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

SECRET = "S3CR3T"
SPELLINGS = [
    f"config set Datasource d uri pg:password={SECRET}",
    f'CONFIG "set" Datasource d uri pg:password={SECRET}',
    f"con\\fig set Datasource d u\\ri = pg:passwd={SECRET}",
    f"'config set a_password {SECRET}'",
    f"xml config set a_password={SECRET}",
    f'config set Datasource d uri = ( "pg:host=a;password={SECRET}" )',
    f"config set Datasource d map = [ user = u  password = {SECRET} ]",
    f"config set door one colour {SECRET}",
    f"config set Datasource d pasword {SECRET}",
    f'config set Datasource d uri "password={SECRET}',
    f"config s\u200bet a_password {SECRET}",
    f"config\u00a0set a_password {SECRET}",
    f"sched in 9999 config set a_password {SECRET}",
    f"exec:t run --password {SECRET}",
    f"nothing config set a_password {SECRET}",
]
CARRIERS = ["broadcast {}", "gather --timeout 5 @all {}", "unicast east1 {}", "json gather east1 {}", "{}"]


def kept_in_redis(url: str, keys: Keys) -> dict[str, bytes]:
    """The content of each key of the cluster."""
    with redis.Redis.from_url(url) as client:
        return {key.decode(): client.dump(key) or b"" for key in client.scan_iter(f"{keys.tag}:*")}


def test_no_spelling_leaves_its_secret_anywhere(processes: Processes, cluster_keys: Keys) -> None:
    node, manager = processes.node("east1"), processes.manager()
    shown = []
    for typed in SPELLINGS:
        shown += [ask_sync(manager.endpoint, carrier.format(typed)) for carrier in CARRIERS]
        shown.append(ask_sync(manager.endpoint, f"retrieve {typed}"))
        shown.append(ask_sync(node.endpoint, typed))
    ask_sync(manager.endpoint, f"sched in 0 broadcast config set a_password {SECRET}")
    wait_until_sync(lambda: "ok" in ask_sync(manager.endpoint, "sched history"), "the schedule has run")
    shown += [
        ask_sync(endpoint, line)
        for endpoint, line in (
            (manager.endpoint, "history 1000"),
            (manager.endpoint, "json history 1000"),
            (manager.endpoint, "sched list"),
            (manager.endpoint, "sched history"),
            (node.endpoint, "config showrecurse"),
        )
    ]
    assert [text for text in shown if SECRET in text] == []
    assert SECRET not in manager.log
    assert SECRET not in node.log
    left = {key for key, value in kept_in_redis(processes.url, cluster_keys).items() if SECRET.encode() in value}
    # A text that is still to run stays in Redis until then: that of a command for its nodes, and that of a schedule.
    assert [key for key in left if not key.endswith((":secret", ":sched:"))] == []


def test_no_line_of_a_log_is_forged(processes: Processes, folder: Path) -> None:
    node, manager = processes.node("east1"), processes.manager()
    hostile = "\x1b]0;pwned\x07\u2028level=error event=faked \x85event=faked \u202e"
    for endpoint in (node.endpoint, manager.endpoint):
        for line in (f"sched in 0 {hostile} version", f"broadcast cluster abort {hostile}", f"cluster abort {hostile}"):
            ask_sync(endpoint, line)
        ask_sync(endpoint, "config set cluster subcluster '\\\" level=error event=faked'")
    for line in (*node.log.split("\n")[:-1], *manager.log.split("\n")[:-1]):
        assert re.match(r"time=\S+ level=\w+ program=\w+ event=", line)
        assert line.isprintable()
        # The fields themselves stand outside of quotes.
        assert "faked" not in re.sub(r'"(\\.|[^"\\])*"', "", line)
