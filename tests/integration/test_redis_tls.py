"""Redis behind TLS, and users of its access lists. Messages name the fault of either, and never a password."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.errors import RedisUnreachable, SettingsError
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer, find_server
from eccmgr.redis.keys import Keys
from tests.integration.fleet import Fleet
from tests.servers import Server, free_port
from tests.waiting import wait_until
from worker.guardian import charter, wire
from worker.guardian.ending import EndingFailed, Way

SECRET = "hunter2"
OPENSSL = shutil.which("openssl")

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="certificates are made with openssl")


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1, and its key."""

    file: Path
    key: Path


@pytest.fixture
def certify(folder: Path) -> Callable[[str], Certificate]:
    """Makes certificates."""

    def make(name: str) -> Certificate:
        made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
        subprocess.run(
            [
                *(str(OPENSSL), "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-keyout", str(made.key), "-out", str(made.file), "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
        return made

    return make


@pytest.fixture
def ours(certify: Callable[[str], Certificate]) -> Certificate:
    """The certificate of the server."""
    return certify("ours")


@pytest.fixture
def own_tls(folder: Path, ours: Certificate) -> Iterator[Server]:
    """A server that speaks TLS itself and asks for a certificate. Skips the test if this server was built without
    TLS."""
    tls = ("tls-auth-clients yes", f"tls-cert-file {ours.file}", f"tls-key-file {ours.key}")
    made = Server(folder / "redis", f"tls-port {free_port()}", f"tls-ca-cert-file {ours.file}", *tls)
    try:
        made.start()
    except OSError as error:
        if "Failed finding TLS support" not in str(error):
            raise
        pytest.skip(f"{find_server().name} was built without TLS; Debian's redis-server has it")
    yield made
    made.stop()


@pytest_asyncio.fixture
async def tls_port(redis_server: EmbeddedServer, ours: Certificate) -> AsyncIterator[int]:
    """A port that speaks TLS, asks for a certificate, and passes plain text on to a server of any build."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ours.file))
    context.load_cert_chain(ours.file, ours.key)
    context.verify_mode = ssl.CERT_REQUIRED

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(redis_server.socket)
        await asyncio.gather(copy(reader, back), copy(there, writer))
        tasks.discard(asyncio.current_task())

    tasks: set[asyncio.Task[None] | None] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await wait_until(lambda: not tasks, "the connections end")


@pytest.mark.asyncio
class TestTls:
    async def test_a_guardian_ends_a_session_over_it(
        self, tls_port: int, ours: Certificate, certify: Callable[[str], Certificate]
    ) -> None:
        files = {"cert_file": str(ours.file), "key_file": str(ours.key)}
        server = charter.Server("127.0.0.1", tls_port, tls=True, ca_file=str(ours.file), **files)
        await asyncio.to_thread(Way(server).end_session, server, wire.Ending("return 1", ()), ())
        other = charter.Server("127.0.0.1", tls_port, tls=True, ca_file=str(certify("other").file), **files)
        with pytest.raises(EndingFailed, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(Way(other).end_session, other, wire.Ending("return 1", ()), ())

    async def test_a_fleet_works_over_it(
        self, tls_port: int, ours: Certificate, folder: Path, cluster_keys: Keys
    ) -> None:
        url = f"rediss://127.0.0.1:{tls_port}/0?{_options(ours)}"
        async with contextlib.AsyncExitStack() as stack:
            fleet = Fleet(url, cluster_keys.cluster, folder, stack)
            await fleet.manager()
            await fleet.node("east1")
            assert await fleet.lines("gather mark") == ["east1: marked"]
            assert f"127.0.0.1:{tls_port}, round trip" in await fleet.ask("info")

    async def test_a_server_of_its_own(self, own_tls: Server, ours: Certificate) -> None:
        port = own_tls.call("CONFIG", "GET", "tls-port")[1]
        link = Link(f"rediss://127.0.0.1:{port}/0?{_options(ours)}")
        assert await link.pipeline(("PING",)) == [b"PONG"]
        await link.close()

    async def test_a_certificate_that_nobody_vouches_for_is_refused(
        self, tls_port: int, ours: Certificate, certify: Callable[[str], Certificate]
    ) -> None:
        link = Link(f"rediss://u:{SECRET}@127.0.0.1:{tls_port}/0?{_options(ours, certify('other'))}")
        with pytest.raises(RedisUnreachable, match=r"its certificate is not trusted: .* \(127\.0\.0\.1:") as caught:
            await link.pipeline(("PING",))
        assert SECRET not in str(caught.value)
        await link.close()

    async def test_client_without_a_certificate_is_refused(self, tls_port: int, ours: Certificate) -> None:
        link = Link(f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={ours.file}")
        with pytest.raises(RedisUnreachable):
            await link.pipeline(("PING",))
        await link.close()

    async def test_missing_files_or_certificates_are_refused_at_once(self, folder: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read: No such file"):
            Link(f"rediss://u:{SECRET}@127.0.0.1/0?ssl_ca_certs={folder}/none.pem")
        (folder / "empty.pem").write_text("")
        with pytest.raises(SettingsError, match="files in PEM form"):
            Link(f"rediss://127.0.0.1/0?ssl_ca_certs={folder}/empty.pem")


@pytest.mark.asyncio
async def test_user_of_its_keys_and_channels_is_enough(folder: Path, keys: Keys) -> None:
    with EmbeddedServer(folder / "redis") as server:
        rights = f"~{keys.tag}:* &{keys.tag}:* +@all -@admin -@dangerous +info"
        admin = Link(server.url)
        await admin.pipeline(("ACL", "SETUSER", "ecc", "on", f">{SECRET}/@", *rights.split()))
        await admin.pipeline(("ACL", "SETUSER", "default", "off"))
        await admin.close()
        url = f"unix://ecc:{SECRET}%2F%40@{server.socket}"
        async with contextlib.AsyncExitStack() as stack:
            fleet = Fleet(url, keys.cluster, folder, stack)
            await fleet.manager()
            await fleet.node("east1")
            assert await fleet.lines("gather mark") == ["east1: marked"]
            assert SECRET not in await fleet.ask("info")


def _options(ours: Certificate, trusted: Certificate | None = None) -> str:
    return f"ssl_ca_certs={(trusted or ours).file}&ssl_certfile={ours.file}&ssl_keyfile={ours.key}"
