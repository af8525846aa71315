"""What a node serves over HTTP: metrics and health, and no pages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.health import is_healthy
from eccmgr.control.client.nearby import nearby
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import PAGES, fetch
from tests.integration.web.test_metrics import samples
from tests.waiting import wait_until, wait_until_sync

HTTP = 'Http_Listener { Listen = "127.0.0.1:0" }\n'


@pytest.mark.asyncio
async def test_node_serves_metrics_and_health_alone(fleet: Fleet) -> None:
    await fleet.manager()
    node = await fleet.node("east1", configuration=HTTP)
    assert "1 of 1 answered" in await fleet.ask("gather mark")
    assert (await fetch(node.pages.url, "/healthz")).text == "ok\n"
    assert (await fetch(node.pages.url, "/readyz")).text == "ok\n"
    answer = await fetch(node.pages.url, "/metrics")
    found = samples(answer.text)
    assert found["eccmgr_commands_run_total", fleet.cluster, "mark", "ok"] == 1
    assert found["eccmgr_redis_up", fleet.cluster] == 1
    assert found["eccmgr_vips_owned", fleet.cluster] == 0
    for path in (*PAGES, "/events", "/nodes.json", "/static/x/live.js"):
        assert (await fetch(node.pages.url, path)).code == 404, path
    assert (await fetch(node.pages.url, "/metrics", method="POST")).code == 405


@pytest.mark.asyncio
async def test_node_without_a_session_is_not_ready(fleet: Fleet) -> None:
    node = await fleet.node("east1", configuration=HTTP)

    async def unready() -> bool:
        # It joins again with the next heartbeat.
        node.session.joined.clear()
        answer = await fetch(node.pages.url, "/readyz")
        return (answer.code, answer.text) == (503, "This daemon is not a member of the cluster\n")

    await wait_until(unready, "it says that it is no member")
    await wait_until(node.session.joined.is_set, "it has joined again")


@pytest.mark.parametrize("program", ["eccmgr", "ecnode"])
@pytest.mark.parametrize("on_tcp", [False, True])
def test_health_asks_only_control_listeners(folder: Path, program: str, *, on_tcp: bool) -> None:
    path = folder / "control"
    listens = ("--listen", str(path), *(("--listen", "127.0.0.1:0") if on_tcp else ()), "--http", "127.0.0.1:0")
    command = [str(Path(sys.executable).parent / program), "--redis", "redis://127.0.0.1:1/0", *listens]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as daemon:
        try:
            wait_until_sync(lambda: "event=ready" in (folder / "log").read_text(), "the daemon listens")
            found = re.search(r"url=http://(\S+)/", (folder / "log").read_text())
            assert found is not None
            daemons = nearby(str(path).__eq__)
            assert found[1] not in {str(each.endpoint) for each in daemons}
            own = [each for each in daemons if each.endpoint.path]
            assert [each.program for each in own] == [program]
            assert is_healthy(lambda _: own, timeout_s=60)
        finally:
            daemon.terminate()
