"""What the console knows of its daemon is kept in the background, whatever the daemon is."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from cli.console.completer import LexiconCompleter
from cli.console.keeping import LexiconKeeper
from cli.console.own_commands import OwnCommands
from eccmgr.control.client.session import Client
from eccmgr.control.endpoint import Endpoint
from tests.daemons import OWN_USER, Process, Processes
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left", "environment")

Kept = Callable[[Process], LexiconKeeper]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Starts keepers, and ends them."""
    keepers: list[LexiconKeeper] = []

    def start(daemon: Process) -> LexiconKeeper:
        keepers.append(LexiconKeeper(Client(Endpoint(path=str(daemon.endpoint))).twin))
        keepers[-1].start()
        return keepers[-1]

    yield start
    for keeper in keepers:
        keeper.close()


def completed(keeper: LexiconKeeper, line: str) -> list[str]:
    """The words that follow in `line`."""
    completer = LexiconCompleter(lambda: keeper.lexicon, keeper.ask, OwnCommands())
    return [word.text.strip() for word in completer.get_completions(Document(line), CompleteEvent())]


def test_feed_brings_nodes_tags_and_subclusters(processes: Processes, kept: Kept) -> None:
    keeper = kept(processes.manager())
    processes.node("east1", "oahu", "--tag", "role=mta")
    wait_until_sync(lambda: completed(keeper, "unicast e") == ["east1"], "the node is known")
    wait_until_sync(lambda: "@role:mta" in completed(keeper, "gather @ro"), "its tag is known")
    assert completed(keeper, "gather @oa") == ["@oahu"]


def test_user_without_the_feed_still_completes(processes: Processes, kept: Kept, folder: Path) -> None:
    role = f'Authorization {{ Role "{OWN_USER}" {{ allow = ( "^help$" "^preview " "^complete" ) }} }}'
    (folder / "main.conf").write_text(f"Control_Listener {{ Enable_Authorization = true }}\n{role}\n")
    processes.node("east1", "oahu")
    keeper = kept(processes.manager("barca", "-c", str(folder / "main.conf")))
    wait_until_sync(lambda: completed(keeper, "unicast e") == ["east1"], "the node is known")


def test_console_of_a_node_completes_its_commands(processes: Processes, kept: Kept) -> None:
    keeper = kept(processes.node("east1"))
    wait_until_sync(lambda: completed(keeper, "cluster duravip dr") == ["drain"], "the commands are known")
    assert completed(keeper, "config set clu") == ["cluster"]


def test_connection_breaks_where_the_network_is_silent() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        client = Client(Endpoint(host="127.0.0.1", port=server.getsockname()[1]))
        assert client.connect(time.monotonic() + 60)
        accepted, _ = server.accept()
        assert client._socket is not None
        assert client._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert client._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 30
        client.close()
        accepted.close()
