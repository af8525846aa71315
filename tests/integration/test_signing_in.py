"""Callers over TCP sign in before their first command: by password, by certificate, or not at all."""

import asyncio
import base64
import contextlib
import datetime as dt
import ipaddress
import json
import os
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from eccmgr.access.verifiers import Verifier
from eccmgr.control import frames
from tests.daemons import ROOT, ask
from tests.integration.fleet import Fleet

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]
REQUIRED = "Authentication required"
RELAY = f"""#!{sys.executable}
import os, pathlib, socket, sys, threading
pathlib.Path(__file__).with_name("asked").write_text(" ".join(sys.argv[1:]))
host, port = sys.argv[4].rsplit(":", 1)
far = socket.create_connection((host.strip("[]"), int(port)))
def pump():
    while data := os.read(0, 65536):
        far.sendall(data)
    far.shutdown(socket.SHUT_WR)
threading.Thread(target=pump, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
"""
"""A stand-in for ssh -W: no SSH server runs here."""


class Tcp:
    """A client that speaks the control protocol over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[int, bytes]:
        (kind,) = struct.unpack("!H", await self.reader.readexactly(2))
        size = 2 if kind == frames.SHORT else 4
        length = int.from_bytes(await self.reader.readexactly(size))
        return kind, await self.reader.readexactly(length)

    async def ask(self, command: str) -> str:
        self.writer.write(frames.encode_text(command))
        return (await self.frame())[1].decode()

    async def auth(self, **fields: str) -> dict[str, object]:
        self.writer.write(frames.encode(frames.AUTH, json.dumps(fields).encode()))
        kind, payload = await self.frame()
        assert kind == frames.AUTH
        return dict(json.loads(payload))


@contextlib.asynccontextmanager
async def tcp(port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Tcp]:
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname="127.0.0.1" if tls else None)
    try:
        yield Tcp(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def verifiers(folder: Path) -> Path:
    path = folder / "verifiers"
    path.write_text(f"tom:{Verifier.of('secret', b's' * 16, 4096)}\n")
    path.chmod(0o600)
    return path


async def signing_manager(
    fleet: Fleet, verifiers: Path, more: str = "", listen: str = "127.0.0.1:0", also: str = ""
) -> int:
    """A manager whose callers over TCP sign in; the port. `also` is added to its configuration."""
    manager = await fleet.manager(
        configuration=f'Control_Listener {{ AuthScramParameters = [ uri = "scram://{verifiers}" ]\n'
        f'Listen "{fleet.folder}/m-barca" {{ }}\n'
        f'Listen "{listen}" {{ Enable_Authentication = true {more} }} }}\n{also}',
        listen=(),
    )
    return manager.server.endpoints[-1].port


async def console(
    *words: str, password: Path | None = None, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """The console in batch mode, with `more` in its environment."""
    environment = {**os.environ, **more} | ({"ECCMGR_PASSWORD_FILE": str(password)} if password else {})
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cli.ec_console", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=60,
        check=False,
    )


@pytest.fixture
def password(folder: Path) -> Path:
    path = folder / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    return path


class TestPasswords:
    async def test_nothing_is_answered_before_signing_in(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            for command in ("version", "pid", "shutdown", "json version", "complete ''"):
                assert await client.ask(command) == REQUIRED
            request = json.dumps({"id": 7, "command": "pid"}).encode()
            client.writer.write(frames.encode(frames.REQUEST, request))
            assert REQUIRED.encode() in (await client.frame())[1]
        assert (await ask(f"{fleet.folder}/m-barca", "pid"))[0].isdigit()

    async def test_console_signs_in_with_its_password(self, fleet: Fleet, verifiers: Path, password: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        done = await console(f"tom@127.0.0.1:{port}", "authz", "id", password=password)
        assert (done.returncode, done.stderr) == (0, "")
        assert 'username="scram:tom"' in done.stdout

    @pytest.mark.parametrize(("user", "word"), [("tom", "wrong"), ("ann", "secret"), ("root", "secret")])
    async def test_wrong_user_and_wrong_password_look_alike(
        self, fleet: Fleet, verifiers: Path, password: Path, user: str, word: str
    ) -> None:
        port = await signing_manager(fleet, verifiers)
        password.write_text(word)
        done = await console(f"{user}@127.0.0.1:{port}", "pid", password=password)
        assert (done.returncode, done.stdout) == (5, "")
        assert done.stderr == "ec_console: Authentication failed\n"

    async def test_info_says_that_nobody_can_sign_in(self, fleet: Fleet, verifiers: Path) -> None:
        verifiers.write_text("")
        await signing_manager(fleet, verifiers)
        (info,) = await ask(f"{fleet.folder}/m-barca", "info")
        assert "AuthScramParameters names no file with users, so that nobody can sign in" in info

    async def test_unknown_user_has_always_the_same_salt(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        salts = set()
        for _ in range(2):
            async with tcp(port) as client:
                first = encoded("n,,n=ann,r=abcdefghijklmnop")
                answer = await client.auth(mechanism="SCRAM-SHA-256", user="ann", data=first)
                said = base64.b64decode(str(answer["data"])).decode()
                salts.add(said.split(",")[1])
                assert said.endswith("i=4096")
        assert len(salts) == 1

    async def test_third_failure_ends_the_connection(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            for _ in range(3):
                answer = await client.auth(mechanism="SCRAM-SHA-256", user="tom", data="!")
                assert answer == {"ok": False, "error": "Authentication failed"}
            assert await client.reader.read() == b""

    @pytest.mark.parametrize(
        "first",
        [
            "n,a=root,n=tom,r=abcdefghijklmnop",
            "p=tls-server-end-point,,n=tom,r=abcdefghijklmnop",
            "n,,n=root,r=abcdefghijklmnop",
            "n,,m=x,n=tom,r=abcdefghijklmnop",
            "n,,n=tom",
            "",
            "x" * 5000,
        ],
    )
    async def test_other_first_messages_are_refused(self, fleet: Fleet, verifiers: Path, first: str) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            answer = await client.auth(mechanism="SCRAM-SHA-256", user="tom", data=encoded(first))
            assert answer == {"ok": False, "error": "Authentication failed"}

    async def test_commands_behind_a_first_message_are_refused(self, fleet: Fleet, verifiers: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        async with tcp(port) as client:
            first = encoded("n,,n=tom,r=abcdefghijklmnop")
            fields = {"mechanism": "SCRAM-SHA-256", "user": "tom", "data": first}
            client.writer.write(frames.encode(frames.AUTH, json.dumps(fields).encode()) + frames.encode_text("pid"))
            assert (await client.frame())[0] == frames.AUTH
            assert await client.frame() == (frames.SHORT, REQUIRED.encode())

    async def test_console_goes_through_ssh(self, fleet: Fleet, verifiers: Path, password: Path) -> None:
        port = await signing_manager(fleet, verifiers)
        relay = fleet.folder / "bin" / "ssh"
        relay.parent.mkdir()
        relay.write_text(RELAY)
        relay.chmod(0o755)
        path = f"{relay.parent}{os.pathsep}{os.environ['PATH']}"
        done = await console(f"ssh://ann@gate/tom@127.0.0.1:{port}", "authz", "id", password=password, PATH=path)
        assert (done.returncode, done.stderr) == (0, "")
        assert 'username="scram:tom"' in done.stdout
        assert (fleet.folder / "bin" / "asked").read_text() == f"-o ConnectTimeout=10 -W [127.0.0.1]:{port} -- ann@gate"

    async def test_password_file_that_others_read_is_refused(
        self, fleet: Fleet, verifiers: Path, password: Path
    ) -> None:
        port = await signing_manager(fleet, verifiers)
        password.chmod(0o644)
        done = await console(f"tom@127.0.0.1:{port}", "pid", password=password)
        assert done.returncode == 5
        assert "can be read by others" in done.stderr

    async def test_scram_user_has_no_unix_roles(self, fleet: Fleet, verifiers: Path, password: Path) -> None:
        manager = await fleet.manager(
            configuration=f'Control_Listener {{ AuthScramParameters = [ uri = "scram://{verifiers}" ]\n'
            'Enable_Authorization = true  Listen "127.0.0.1:0" { Enable_Authentication = true } }\n'
            'Authorization { Role "tom" { allow = ( ".*" ) } }\n',
            listen=(),
        )
        port = manager.server.endpoints[-1].port
        done = await console(f"tom@127.0.0.1:{port}", "pid", password=password)
        assert (done.returncode, done.stderr.strip()) == (5, "Not Authorized for this command")


class TestPeers:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
    async def test_denied_network_is_not_let_in(self, fleet: Fleet, verifiers: Path, host: str) -> None:
        listen = "127.0.0.1:0" if host == "127.0.0.1" else "[::]:0"
        rules = 'Peer "127.0.0.0/8" { Always_Deny = true } Peer "::/0" { Always_Allow = true }'
        port = await signing_manager(fleet, verifiers, rules, listen)
        async with tcp(port, host) as client:
            client.writer.write(frames.encode_text("pid"))
            with contextlib.suppress(ConnectionError):
                assert await client.reader.read() == b""

    async def test_most_specific_rule_counts(self, fleet: Fleet, verifiers: Path) -> None:
        rules = 'Peer "127.0.0.0/8" { Always_Deny = true } Peer "127.0.0.1" { Always_Allow = true }'
        port = await signing_manager(fleet, verifiers, rules)
        async with tcp(port) as client:
            assert (await client.ask("pid")).isdigit()


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.path = folder / f"{name}.pem"
        certificate = self._made(self.name, self.key, None, 1)
        self.path.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, days: int = 1) -> tuple[Path, Path]:
        """A certificate for a name and 127.0.0.1, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._made(subject, key, ipaddress.ip_address("127.0.0.1"), days)
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.pem.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def _made(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
        days: int,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
        )
        if address is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(address)]), critical=False)
        return builder.sign(self.key, SHA256())


class TestTls:
    async def test_password_is_bound_to_the_certificate(self, fleet: Fleet, verifiers: Path, password: Path) -> None:
        authority = Authority(fleet.folder)
        certificate, key = authority.issue("barca")
        files = f'TLS_Certificate = "{certificate}" TLS_Key = "{key}"'
        port = await signing_manager(fleet, verifiers, files)
        where = f"tls://tom@127.0.0.1:{port}"
        done = await console("--ca", str(authority.path), where, "pid", password=password)
        assert (done.returncode, done.stderr) == (0, "")
        lines = await console("--ca", str(authority.path), where, password=password, stdin="pid\nuptime\npid\n")
        assert (lines.returncode, lines.stderr, len(lines.stdout.splitlines())) == (0, "", 3)
        foreign = await console(where, "pid", password=password)
        assert foreign.returncode == 4
        assert "is not trusted" in foreign.stderr
        context = ssl.create_default_context(cafile=authority.path)
        async with tcp(port, tls=context) as client:
            assert await client.ask("pid") == REQUIRED
            first = encoded("y,,n=tom,r=abcdefghijklmnop")
            answer = await client.auth(mechanism="SCRAM-SHA-256", user="tom", data=first)
            assert answer == {"ok": False, "error": "Authentication failed"}

    async def test_client_certificate_says_who_calls(self, fleet: Fleet, verifiers: Path) -> None:
        authority = Authority(fleet.folder)
        certificate, key = authority.issue("barca")
        files = f'TLS_Certificate = "{certificate}" TLS_Key = "{key}" TLS_Client_CA = "{authority.path}"'
        port = await signing_manager(fleet, verifiers, files)
        own, own_key = authority.issue("tom")
        tls = ("--ca", str(authority.path), "--cert", str(own), "--key", str(own_key))
        done = await console(*tls, f"tls://127.0.0.1:{port}", "authz", "id")
        assert 'username="cert:tom"' in done.stdout

    @pytest.mark.parametrize("kind", ["none", "foreign", "expired"])
    async def test_other_client_certificates_are_refused(self, fleet: Fleet, verifiers: Path, kind: str) -> None:
        authority = Authority(fleet.folder)
        certificate, key = authority.issue("barca")
        files = f'TLS_Certificate = "{certificate}" TLS_Key = "{key}" TLS_Client_CA = "{authority.path}"'
        port = await signing_manager(fleet, verifiers, files)
        issuer = Authority(fleet.folder, "stranger") if kind == "foreign" else authority
        own, own_key = issuer.issue("tom", -1 if kind == "expired" else 1)
        tls = () if kind == "none" else ("--cert", str(own), "--key", str(own_key))
        done = await console("--ca", str(authority.path), *tls, f"tls://127.0.0.1:{port}", "pid")
        assert (done.returncode != 0, done.stdout) == (True, "")

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    async def test_old_tls_is_refused(self, fleet: Fleet, verifiers: Path) -> None:
        authority = Authority(fleet.folder)
        certificate, key = authority.issue("barca")
        port = await signing_manager(fleet, verifiers, f'TLS_Certificate = "{certificate}" TLS_Key = "{key}"')
        context = ssl.create_default_context(cafile=authority.path)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with tcp(port, tls=context) as client:
                await client.ask("pid")
