"""Another program is a node: its functions are commands, and it keeps control of itself."""

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import eccmgr
from eccmgr.errors import NameInUse, SettingsError
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, Processes, ask, ask_sync
from tests.integration.fleet import Fleet
from tests.waiting import wait_until, wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def shop_folder(folder: Path) -> Path:
    """The folder of the example. Files there have the names of our packages, and must never run."""
    own = folder / "shop"
    own.mkdir()
    shutil.copy(ROOT / "docs" / "examples" / "shop.py", own)
    for name in ("worker.py", "cli.py"):
        (own / name).write_text(f'raise SystemExit("{name} was run")\n')
    return own


def test_the_example_of_the_documentation_answers(processes: Processes, shop_folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ECCMGR_CLUSTER": processes.cluster}
    command = [sys.executable, "shop.py", "shop1", processes.url]
    with subprocess.Popen(
        command, env=environment, cwd=shop_folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as shop:
        try:
            manager = processes.manager()
            wait_until_sync(lambda: "1 node," in ask_sync(manager.endpoint, "info"), "the shop has joined")

            def gather(line: str) -> str:
                return ask_sync(manager.endpoint, f"gather @shops {line}").partition("\n")[2]

            assert gather("queue size") == "shop1: 2"
            assert gather("order cake 3") == "shop1: 5 wait"
            assert gather("order cake many") == "shop1: failed: order: PIECES takes a whole number, not 'many'"
            assert gather("ship").splitlines()[:2] == ["shop1:", "  shipped milk"]
            assert gather("queue size") == "shop1: 0"
            assert "Usage: order WARE [PIECES]" in gather("help order")
            assert gather("cluster duravip show") == "shop1: not concerned"
        finally:
            shop.send_signal(signal.SIGINT)
            shop.wait(30)
        assert shop.stdout is not None
        said = shop.stdout.read().decode()
    assert "KeyboardInterrupt" in said  # the program ends in its own way
    assert "level=" not in said
    wait_until_sync(lambda: "0 nodes" in ask_sync(manager.endpoint, "info"), "it has left, and was not lost")
    assert "(lost)" not in ask_sync(manager.endpoint, "broadcast pid")


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_tasks_left")
async def test_several_nodes_share_a_program_keeping_its_signals(
    redis_server: EmbeddedServer, cluster_keys: Keys, fleet: Fleet, folder: Path
) -> None:
    await fleet.manager()
    before = signal.getsignal(signal.SIGTERM), logging.getLogger().handlers[:]

    def made(name: str, **more: object) -> eccmgr.Node:
        node = eccmgr.Node(name, redis=redis_server.url, cluster=cluster_keys.cluster, **more)  # type: ignore[arg-type]
        node.command("who", "its name")(lambda: name)
        return node

    async with made("shop1"), made("shop2", listen=str(folder / "shop2")):
        assert await fleet.lines("gather who") == ["shop1: shop1", "shop2: shop2"]
        assert (await ask(folder / "shop2", "who"))[0] == "shop2"
        assert (signal.getsignal(signal.SIGTERM), logging.getLogger().handlers[:]) == before
        with pytest.raises(NameInUse):
            await made("shop1").start()
    assert "0 nodes" in await fleet.ask("info")


@pytest.mark.asyncio
async def test_node_told_to_shut_down_ends_its_run(
    redis_server: EmbeddedServer, cluster_keys: Keys, fleet: Fleet
) -> None:
    await fleet.manager()
    node = eccmgr.Node("shop1", redis=redis_server.url, cluster=cluster_keys.cluster)
    running = asyncio.create_task(node.run())

    async def joined() -> bool:
        return "1 node," in await fleet.ask("info")

    await wait_until(joined, "the node has joined")
    await fleet.ask("unicast shop1 shutdown")
    await asyncio.wait_for(running, 30)


def test_what_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(SettingsError):
        eccmgr.Node("no name")
    with pytest.raises(SettingsError):
        eccmgr.Node("shop1", redis="nonsense://")
    with pytest.raises(ValueError, match="two commands are named pid"):
        eccmgr.Node("shop1").command("pid", "")(lambda: "")


@pytest.mark.parametrize("own", ["worker.py", "worker/__init__.py"])
def test_a_program_may_have_modules_named_as_ours(folder: Path, own: str) -> None:
    (folder / "cli.py").touch()
    file = folder / own
    file.parent.mkdir(exist_ok=True)
    file.write_text('raise SystemExit("it was run")\n')
    (folder / "shop.conf").write_text('exec "x" { commands = [ say = "/bin/echo" ] }\n')
    code = "import eccmgr; node = eccmgr.Node('shop1', config='shop.conf'); print(*node._daemon.remarks())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout == f"exec: its module cannot be loaded: worker is {file} here, not the package of eccmgr\n"


def test_embedded_node_says_it_carries_no_vips(folder: Path) -> None:
    main = folder / "shop.conf"
    main.write_text('Binding "b" {\n  Bind_Address = "10.1.1.1"\n  Enable_Duravip = true\n}\n')
    node = eccmgr.Node("shop1", config=str(main))
    assert node._daemon.remarks() == ["DuraVIP: an embedded node carries no VIPs; its configuration asks for some"]


def test_importing_the_package_alone_costs_nothing() -> None:
    code = "import sys, eccmgr; print(len([name for name in sys.modules if name.startswith(('eccmgr.', 'worker'))]))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == "0\n"
