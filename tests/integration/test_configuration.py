"""Daemons follow their configuration, at the start and at each change."""

import asyncio
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.manager import Manager
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import OWN_USER, ROOT, Processes, ask_sync, manager, node, running
from tests.listeners import Client, ask
from tests.waiting import wait_until, wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest_asyncio.fixture
async def barca(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> AsyncIterator[Manager]:
    """A manager with the endpoints of its file."""
    configuration = f'Control_Listener {{\n  Timeout = 60\n  Listen "{folder}/m-barca" {{ }}\n}}\n'
    made = await asyncio.to_thread(
        manager, redis_server.url, cluster_keys.cluster, folder, configuration=configuration, listen=()
    )
    async with running(made):
        yield made


def path(made: Manager) -> str:
    found = made.endpoints[0].path
    assert found is not None
    return found


async def add(made: Manager, text: str) -> None:
    """Add a text to the main file of a manager, and have the manager read it."""
    main = Path(made.store.main or "")
    await asyncio.to_thread(main.write_text, f"{await asyncio.to_thread(main.read_text)}{text}\n")
    assert await ask(path(made), "config reload") == "Reconfigured"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_tasks_left")
class TestListeners:
    async def test_commit_changes_endpoints_while_sessions_go_on(self, barca: Manager, folder: Path) -> None:
        async with await Client.open(path(barca)) as client:
            assert await client.ask("config begin") == "Transaction begun"
            await client.ask(f"config set Control_Listener Listen {folder}/other Enable true")
            await client.ask(f"config unset Control_Listener Listen {folder}/m-barca")
            assert not (folder / "other").exists()
            assert (await client.ask("config commit")).startswith("Committed ")
            assert "eccmgr version:" in await ask(folder / "other", "version")
            assert not (folder / "m-barca").exists()
            assert "eccmgr version:" in await client.ask("version")

    async def test_endpoint_in_use_fails_the_commit_without_changes(self, barca: Manager, folder: Path) -> None:
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.bind(str(folder / "theirs"))
            theirs.listen()
            async with await Client.open(path(barca)) as client:
                await client.ask("config begin")
                for name in ("mine", "theirs"):
                    await client.ask(f"config set Control_Listener Listen {folder}/{name} Enable true")
                assert "theirs is in use by pid" in await client.ask("config commit")
                assert not (folder / "mine").exists()
                assert "theirs" in await client.ask("config replay")
                assert await client.ask("config rollback") == "Rolled back 2 commands"
                assert "theirs" not in await client.ask("config showrecurse")

    async def test_new_limits_hold_for_connections_that_are_open(self, barca: Manager) -> None:
        async with await Client.open(path(barca)) as idle, await Client.open(path(barca)) as client:
            await client.ask("config set Control_Listener Max_Command_Bytes 100")
            assert await client.ask("x" * 200) == "Command too long (200 bytes, limit 100)"
            async with await Client.open(path(barca)) as other:
                await other.ask("config set Control_Listener Timeout 0.05")
            assert await idle.rest() == b""

    async def test_the_mode_of_a_socket_changes_at_once(self, barca: Manager) -> None:
        await add(barca, "Control_Listener { File_Mode = 0600 }")
        assert stat.S_IMODE(Path(path(barca)).stat().st_mode) == 0o600

    async def test_without_users_nobody_signs_in_and_info_explains(self, barca: Manager) -> None:
        endpoint = f"127.0.0.1:{free_port()}"
        await add(barca, f'Control_Listener {{ Listen "{endpoint}" {{ Enable_Authentication = true }} }}')
        host, port = endpoint.split(":")
        async with Client(*await asyncio.open_connection(host, int(port))) as client:
            assert await client.ask("version") == "Authentication required"
            client.request("version")
            assert (await client.fields(19))["status"] == "denied"
        assert "names no file with users, so that nobody can sign in" in await ask(path(barca), "info")

    async def test_address_beyond_loopback_needs_explicit_permission(self, barca: Manager) -> None:
        endpoint = f"0.0.0.0:{free_port()}"
        refused = await ask(path(barca), f"config set Control_Listener Listen {endpoint} Timeout 5")
        assert "without authentication only loopback addresses are allowed" in refused
        await add(barca, f'Control_Listener {{ Listen "{endpoint}" {{ Insecure = true }} }}')
        assert f"Listener {endpoint} is insecure" in await ask(path(barca), "info")


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_tasks_left")
class TestOptions:
    async def test_times_of_the_cluster_change_at_once(self, barca: Manager) -> None:
        assert await ask(path(barca), "config set cluster results_ttl 120") == "results_ttl = 120"
        assert barca.options.results_ttl_s == 120
        assert barca.delivery._options.results_ttl_s == 120

    async def test_node_takes_a_new_bound_of_running_commands(
        self, redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
    ) -> None:
        made = node(redis_server.url, cluster_keys.cluster, folder, "east1")
        async with running(made):
            await ask(folder / "n-east1", "config set cluster max_running 3")
            assert made.executor._options.max_running == 3

    async def test_flag_wins_and_eval_says_so(self, barca: Manager) -> None:
        cluster = barca.keys.cluster
        shown = f"cluster_group = {cluster}  # from the command line"
        assert await ask(path(barca), "config eval cluster cluster_group") == shown
        answer = await ask(path(barca), "config set cluster cluster_group other")
        assert "from the command line still holds" in answer
        assert await ask(path(barca), "config eval cluster cluster_group") == shown

    async def test_transaction_belongs_to_and_ends_with_its_session(self, barca: Manager) -> None:
        async with await Client.open(path(barca)) as mine, await Client.open(path(barca)) as theirs:
            await mine.ask("config begin")
            await mine.ask("config set Suspend_Delivery true")
            assert await mine.ask("config get suspend_delivery") == "Suspend_Delivery = true"
            assert "is not set" in await theirs.ask("config get suspend_delivery")
            assert await theirs.ask("config commit") == "No transaction is open"
        assert "is not set" in await ask(path(barca), "config get suspend_delivery")

    async def test_a_lost_connection_ends_its_transaction(self, barca: Manager) -> None:
        async with await Client.open(path(barca)) as client:
            assert await client.ask("config begin") == "Transaction begun"
            assert len(barca.store._open) == 1
        await wait_until(lambda: not barca.store._open, "the transaction is dropped")

    async def test_first_of_two_transactions_wins_openly(self, barca: Manager) -> None:
        async with await Client.open(path(barca)) as first, await Client.open(path(barca)) as second:
            for client, value in ((first, "true"), (second, "false")):
                await client.ask("config begin")
                await client.ask(f"config set Suspend_Delivery {value}")
            assert await first.ask("config commit") == "Committed 1 change"
            lost = await second.ask("config commit")
            assert "Conflict: another transaction was committed first" in lost
            assert f"Suspend_Delivery was changed by {OWN_USER}" in lost

    async def test_a_broadcast_has_no_transaction(
        self, barca: Manager, redis_server: EmbeddedServer, folder: Path
    ) -> None:
        async with running(node(redis_server.url, barca.keys.cluster, folder, "east1")):
            answer = await ask(path(barca), "gather config begin")
            assert "failed: A transaction belongs to a console's session" in answer

    async def test_the_console_completes_paths_of_the_configuration(self, barca: Manager) -> None:
        assert await ask(path(barca), 'complete "config set Control_Lis"') == "Control_Listener"
        assert "Timeout" in (await ask(path(barca), 'complete "config eval Control_Listener "')).split("\n")
        assert "config" in (await ask(path(barca), 'complete "help c"')).split("\n")

    async def test_help_knows_scopes_and_options(self, barca: Manager) -> None:
        assert "default: 60" in await ask(path(barca), "help config Control_Listener Timeout")
        assert "Usage: config set" in await ask(path(barca), "help config set")
        assert "Usage: config writeback" in await ask(path(barca), "help config")

    async def test_secret_sent_to_nodes_is_shown_nowhere(
        self, barca: Manager, redis_server: EmbeddedServer, folder: Path
    ) -> None:
        async with running(node(redis_server.url, barca.keys.cluster, folder, "east1")):
            command = 'config set Datasource db uri "pg:user=a;password=hush"'
            header, line = (await ask(path(barca), f"gather {command}")).split("\n")
            assert "config set Datasource db uri ********" in header
            assert line.startswith("east1: uri = ")
            for asked in (f"retrieve {command}", f"json gather {command}", f"xml gather {command}", f"json {command}"):
                assert "hush" not in await ask(path(barca), asked)
            audit = await barca.link.call("XRANGE", barca.keys.audit, "-", "+")
            assert audit
            assert "hush" not in repr(audit)
            assert "hush" not in await ask(folder / "n-east1", "config get Datasource db uri")


@pytest.mark.asyncio
class TestReload:
    async def test_broken_reload_under_traffic_changes_nothing(self, barca: Manager) -> None:
        main = barca.store.loaded.main
        assert main is not None
        good = await asyncio.to_thread(Path(main).read_text)
        await asyncio.to_thread(Path(main).write_text, good + "cluster {\n  max_running = many\n")
        answers: list[str] = []

        async def traffic() -> None:
            async with await Client.open(path(barca)) as client:
                answers.extend([await client.ask("version") for _ in range(200)])

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(traffic())
            failed = [await ask(path(barca), "config reload") for _ in range(3)]
        for answer in failed:
            heading, *faults = answer.splitlines()
            assert heading == "Reconfigure failed"
            assert any(re.search(r"main\.conf:\d+:\d+: ", fault) for fault in faults)
        assert len(set(answers)) == 1
        await asyncio.to_thread(Path(main).write_text, good.replace("Timeout = 60", "Timeout = 50"))
        await ask(path(barca), "config set Suspend_Delivery true")
        assert await ask(path(barca), "config reload") == "Reconfigured; 1 unsaved change dropped"
        assert await ask(path(barca), "config get Control_Listener Timeout") == "Timeout = 50"

    async def test_written_back_change_survives_a_reload(self, barca: Manager) -> None:
        await ask(path(barca), "config set Control_Listener Timeout 45")
        assert (await ask(path(barca), "config writeback")).startswith("Wrote 1 change to ")
        assert await ask(path(barca), "config reload") == "Reconfigured"
        assert await ask(path(barca), "config get Control_Listener Timeout") == "Timeout = 45"


class TestPrograms:
    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", f"from cli.{program} import main; main()", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_check_confirms_or_names_every_fault(self, folder: Path) -> None:
        file = folder / "eccluster.conf"
        file.write_text("cluster { heartbeats_per_sec = 4 }\n")
        done = self.run("eccmgr", "--check", "-c", file)
        assert (done.stdout, done.stderr, done.returncode) == (f"{file}: no faults\n", "", 0)
        file.write_text("cluster { heartbeats_per_sec = x\n session_lease = -1 }\n")
        done = self.run("eccmgr", "--check", "-c", file)
        assert [line.split(":")[1:3] for line in done.stderr.splitlines()] == [["1", "32"], ["2", "18"]]
        assert (done.stdout, done.returncode) == ("", 1)

    def test_broken_file_ends_the_start_with_its_faults(self, folder: Path) -> None:
        file = folder / "main.conf"
        file.write_text("cluster {\n")
        done = self.run("ecnode", "-c", file)
        assert done.stderr.startswith(f"{file}:")
        assert done.returncode == 1

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('Security {\n  User = "nobody-at-all"\n}\n', ":2:3: no user 'nobody-at-all' on this host"),
            ('ec_logger "x" {\n  mainlog = "/proc/none/log"\n}\n', ":1:1: cannot open the log file /proc/none/log"),
        ],
    )
    def test_missing_host_feature_fails_start_with_its_place(self, folder: Path, text: str, said: str) -> None:
        file = folder / "main.conf"
        file.write_text(text)
        done = self.run("eccmgr", "-c", file, "--listen", folder / "m")
        assert done.stderr.splitlines()[-1].startswith(f"{file}{said}")
        assert done.returncode == 1

    def test_logs_are_written_reopened_and_their_folders_made(self, processes: Processes, folder: Path) -> None:
        main, log = folder / "main.conf", folder / "logs" / "deep" / "mainlog"
        main.write_text(f'ec_logger {{ mainlog = "{log}" }}\n')
        daemon = processes.manager("barca", "-c", str(main))
        assert "event=ready" in log.read_text()
        log.rename(folder / "moved")
        assert ask_sync(daemon.endpoint, "reopen logs") == "Reopened 1 log file"
        daemon.end()
        assert "event=left" in log.read_text()
        assert "event=left" not in (folder / "moved").read_text()

    def test_a_hangup_reloads_the_files(self, processes: Processes, folder: Path) -> None:
        main = folder / "main.conf"
        main.write_text("cluster { subcluster = east }\n")
        daemon = processes.start("ecnode", "east1", "-c", str(main))
        assert "Subcluster: east" in ask_sync(daemon.endpoint, "cluster membership")
        main.write_text("Message_Expiration = 5\n")
        daemon.popen.send_signal(signal.SIGHUP)
        wait_until_sync(lambda: "configuration reloaded" in daemon.log, "the files are read")
        assert ask_sync(daemon.endpoint, "config get message_expiration") == "Message_Expiration = 5"

    def test_bus_files_tell_of_absent_nodes_and_conflicts(self, processes: Processes, folder: Path) -> None:
        (folder / "main.conf").write_text("")
        (folder / "mbus.conf").write_text(
            "# Subcluster: east = m1\nSpread_Segment 10.0.0.255:4803 {\n  east1 10.0.0.1\n  east2 10.0.0.2\n}\n"
        )
        processes.node("east1", "west")
        daemon = processes.manager("barca", "-c", str(folder / "main.conf"))
        conflict = "Conflict: east1 claims subcluster west, its bus file gives it east; west counts"
        wait_until_sync(lambda: conflict in ask_sync(daemon.endpoint, "info").splitlines(), "the bus file is read")
        assert "Absent: east2 never seen" in ask_sync(daemon.endpoint, "info").splitlines()


@pytest.mark.asyncio
async def test_an_ipv6_address_is_shown_in_brackets(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    text = 'cluster { nodeaddr = "2001:db8::7" }'
    made = await asyncio.to_thread(node, redis_server.url, cluster_keys.cluster, folder, "east1", configuration=text)
    async with running(made):
        path = str(made.endpoints[0].path)
        assert "\nAddress: [2001:db8::7]:0\n" in await ask(path, "cluster membership")
        assert await ask(path, "cluster nodeaddr") == "2001:db8::7"
