"""Nobody over a network or from another account gets in, or stays in, without a right to."""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scramp import ScramClient

from eccmgr.access.verifiers import Verifier
from eccmgr.control import frames
from tests.daemons import OWN_USER, ROOT, Processes, ask
from tests.integration.fleet import Fleet
from tests.integration.test_signing_in import REQUIRED, Tcp, encoded, signing_manager, tcp
from tests.listeners import Client

pytestmark = pytest.mark.usefixtures("nothing_left")
NOT_AUTHORIZED = "Not Authorized for this command"
FAILED = {"ok": False, "error": "Authentication failed"}
MECHANISM = "SCRAM-SHA-256"
ASK = """
import os, socket, sys
path, uid = sys.argv[1:]
os.setgroups([]), os.setgid(int(uid)), os.setuid(int(uid))
with socket.socket(socket.AF_UNIX) as client:
    client.connect(path)
    client.sendall(b"\\0\\1\\0\\3pid")
    print(client.recv(1000)[4:].decode())
"""


@pytest.fixture
def verifiers(folder: Path) -> Path:
    path = folder / "verifiers"
    path.write_text(f"tom:{Verifier.of('secret', b's' * 16, 4096)}\n")
    path.chmod(0o600)
    return path


async def signed_in(client: Tcp, password: str = "secret") -> tuple[dict[str, object], str, str]:
    """Sign in as tom; answers the last answer of the server, and the two messages of the client."""
    scram = ScramClient([MECHANISM], "tom", password)
    first = scram.get_client_first()
    said = await client.auth(mechanism=MECHANISM, user="tom", data=encoded(first))
    scram.set_server_first(base64.b64decode(str(said["data"])).decode())
    final = scram.get_client_final()
    return await client.auth(data=encoded(final)), first, final


@pytest.mark.asyncio
class TestSignedIn:
    @pytest.mark.parametrize("change", ["", f"tom:{Verifier.of('other', b's' * 16, 4096)}\n"], ids=["gone", "changed"])
    async def test_open_connection_of_a_removed_user_ends(self, fleet: Fleet, verifiers: Path, change: str) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            answer, _, _ = await signed_in(client)
            assert answer["ok"] is True
            assert (await client.ask("pid")).isdigit()
            verifiers.write_text(change)
            assert await ask(f"{fleet.folder}/m-barca", "config reload") == ["Reconfigured"]
            for command in ("pid", "shutdown", "gather version"):
                assert await client.ask(command) == REQUIRED

    async def test_replayed_exchange_signs_nobody_in(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            _, first, final = await signed_in(client)
        async with tcp(port) as client:
            await client.auth(mechanism=MECHANISM, user="tom", data=encoded(first))
            assert await client.auth(data=encoded(final)) == FAILED
            assert await client.ask("pid") == REQUIRED

    async def test_final_message_alone_signs_nobody_in(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            _, _, final = await signed_in(client, "wrong")
            assert await client.auth(data=encoded(final)) == FAILED

    async def test_fourth_attempt_is_not_heard(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        manager = fleet.managers[0]
        async with tcp(port) as client:
            for _ in range(3):
                assert (await signed_in(client, "wrong"))[0] == FAILED
            with contextlib.suppress(ConnectionError):
                client.writer.write(frames.encode(frames.AUTH, b"{}"))
                assert await client.reader.read() == b""
        assert manager.gate.refused.counts["failed sign-ins"] == 3

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /shutdown HTTP/1.1\r\nContent-Length: 8\r\n\r\nshutdown",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\xff" * 100,
        ],
        ids=["GET", "POST", "TLS", "noise"],
    )
    async def test_other_protocols_are_hung_up_on(self, fleet: Fleet, verifiers: Path, request_bytes: bytes) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            client.writer.write(request_bytes)
            client.writer.write_eof()
            with contextlib.suppress(ConnectionError):
                assert (await client.reader.read()).count(b"Unknown frame type") == 1
        assert fleet.managers[0].gate.refused.counts["broken or oversized frames"] == 1
        assert (await ask(f"{fleet.folder}/m-barca", "pid"))[0].isdigit()

    async def test_connections_of_one_user_are_bounded(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        # On a busy machine, the first ones might count as idle before the last one is open.
        monkeypatch.setattr("eccmgr.control.crowd.IDLE_S", 1e9)
        manager = await fleet.manager()
        path = fleet.folder / "m-barca"
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(await Client.open(path)) for _ in range(65)]
            for client in clients[:64]:
                client.send("pid")
            answers = await asyncio.gather(*(client.answer() for client in clients[:64]))
            assert all(answer.isdigit() for answer in answers)
            assert "Too many connections" in await clients[64].ask("pid")
        assert manager.gate.refused.counts["too many connections"] == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("uid", [65534, 4711])
def test_user_without_a_name_has_no_role(processes: Processes, folder: Path, uid: int) -> None:
    folder.chmod(0o755)
    main = folder / "main.conf"
    roles = "".join(
        f'Role "{name}" {{ allow = ( ".*" ) }}\n' for name in (OWN_USER, "nobody", "anonymous", f"uid {uid}")
    )
    main.write_text(
        f"Control_Listener {{ Enable_Authorization = true  File_Mode = 0666 }}\nAuthorization {{\n{roles}}}\n"
    )
    manager = processes.manager("barca", "-c", str(main))
    command = [sys.executable, "-c", ASK, str(manager.endpoint), str(uid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout.strip(), done.stderr) == (NOT_AUTHORIZED, "")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_open_network_is_not_listened_on_unasked(processes: Processes, listen: str) -> None:
    command = [sys.executable, "-c", "from cli.eccmgr import main; main()", "--redis", processes.url]
    more = ["--cluster", processes.cluster, "--name", "barca", "--listen", listen]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "loopback" in done.stdout + done.stderr
