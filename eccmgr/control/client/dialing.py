"""How a console reaches a listener beyond a Unix socket: TCP, TLS, a tunnel through SSH, and signing in.

Nothing here is imported for a Unix socket: a console in batch mode lives for milliseconds.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import FrameError, NoConnection, SettingsError, SignInFailed

_TLS, _SSH = "tls://", "ssh://"
_MECHANISM = "SCRAM-SHA-256"
_ITERATIONS_MAX = 10_000_000
_NONCE_BYTES = 24


@dataclass(frozen=True)
class Route:
    """The way to a listener over TCP: whether with TLS, through which SSH login (`osuser@host`), and who signs in."""

    endpoint: Endpoint
    user: str = ""
    tls: bool = False
    ssh: str = ""

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Parse `[USER@]HOST:PORT`, `tls://[USER@]HOST:PORT` or `ssh://LOGIN/[USER@]HOST:PORT`; else an endpoint.

        Raises SettingsError.
        """
        ssh, rest, tls = "", text, text.startswith(_TLS)
        if text.startswith(_SSH):
            ssh, slash, rest = text.removeprefix(_SSH).partition("/")
            if not slash or not ssh or ssh.startswith("-"):
                raise SettingsError(f"Endpoint '{text}' is not ssh://OSUSER@HOST/[USER@]HOST:PORT")
        user, at, where = rest.removeprefix(_TLS).rpartition("@")
        if rest.startswith(("/", "./", "../")) and not (ssh or tls):
            return cls(Endpoint.parse(text))
        endpoint = Endpoint.parse(where)
        if endpoint.path is not None or (at and not user):
            raise SettingsError(f"Endpoint '{text}' is not [USER@]HOST:PORT")
        return cls(endpoint, user, tls or rest.startswith(_TLS), ssh)

    def __str__(self) -> str:
        where = f"{self.user}@{self.endpoint}" if self.user else str(self.endpoint)
        through = f"{_SSH}{self.ssh}/" if self.ssh else ""
        return f"{through}{_TLS if self.tls else ''}{where}"


@dataclass
class Dialer:
    """Opens connections along a route; `password` asks for the user's password, which is then kept for the next one.

    `ca`, `certificate` and `key` are files for TLS; without `ca` the authorities of the system are trusted.
    """

    route: Route
    password: Callable[[], str]
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def connect(self, timeout_s: float) -> socket.socket:
        """Connect, and sign in if the route has a user. Raises NoConnection, SignInFailed and OSError."""
        endpoint = self.route.endpoint
        if self.route.ssh:
            connection = _through_ssh(self.route.ssh, endpoint)
        else:
            connection = socket.create_connection((endpoint.host, endpoint.port), timeout_s)
        try:
            connection.settimeout(timeout_s)
            binding = None
            if self.route.tls:
                connection, binding = self._secured(connection)
            if self.route.user:
                _sign_in(connection, self.route.user, self._known_password(), binding)
        except BaseException:
            connection.close()
            raise
        return connection

    def _known_password(self) -> str:
        word = self.password()
        self.password = lambda: word
        return word

    def _secured(self, connection: socket.socket) -> tuple[socket.socket, bytes]:
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            secured = context.wrap_socket(connection, server_hostname=self.route.endpoint.host)
        except ssl.SSLCertVerificationError as error:
            raise NoConnection(f"The certificate of {self.route} is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise NoConnection(f"No TLS with {self.route}: {error.reason or error}") from None
        from eccmgr.config.live.tls import end_point_of

        return secured, end_point_of(secured.getpeercert(binary_form=True) or b"")


def _through_ssh(login: str, endpoint: Endpoint) -> socket.socket:
    """A connection that the system's ssh forwards; it asks for what it needs at the terminal, and ends with it."""
    ours, theirs = socket.socketpair()
    try:
        where = f"[{endpoint.host}]:{endpoint.port}"
        command = ["ssh", "-o", "ConnectTimeout=10", "-W", where, "--", login]
        subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())  # noqa: S603
    except OSError as error:
        ours.close()
        raise NoConnection(f"ssh cannot be started: {error.strerror}") from None
    finally:
        theirs.close()
    return ours


def _sign_in(connection: socket.socket, user: str, password: str, binding: bytes | None) -> None:
    """Sign in by SCRAM-SHA-256 (RFC 5802, 7677). Raises SignInFailed, also for a server that does not know the
    password."""
    header = "n,," if binding is None else "p=tls-server-end-point,,"
    nonce = base64.b64encode(os.urandom(_NONCE_BYTES)).decode()
    first = f"n={user},r={nonce}"
    server_first = _ask(connection, {"mechanism": _MECHANISM, "user": user, "data": _encoded(header + first)})
    try:
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        salt, iterations = base64.b64decode(fields["s"]), int(fields["i"])
        if not fields["r"].startswith(nonce) or len(fields["r"]) == len(nonce) or not 0 < iterations <= _ITERATIONS_MAX:
            raise ValueError
    except (ValueError, KeyError):
        raise SignInFailed("The server's answer to the sign-in makes no sense") from None
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    channel = base64.b64encode(header.encode() + (binding or b"")).decode()
    final = f"c={channel},r={fields['r']}"
    said = f"{first},{server_first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    server_final = _ask(connection, {"data": _encoded(f"{final},p={proof}")})
    expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
    if not hmac.compare_digest(server_final, f"v={base64.b64encode(expected).decode()}"):
        raise SignInFailed("The server does not know the password: it is not the one that it seems to be")


def _ask(connection: socket.socket, fields: dict[str, str]) -> str:
    """Send an AUTH frame, and read the data of the answer."""
    connection.sendall(frames.encode(frames.AUTH, json.dumps(fields).encode()))
    decoder = frames.Decoder()
    while True:
        data = connection.recv(65536)
        if not data:
            raise SignInFailed("The connection was closed while signing in")
        try:
            for kind, payload in decoder.feed(data):
                if kind != frames.AUTH:
                    raise SignInFailed(payload.decode("utf-8", "replace")[:200])
                answer = json.loads(payload)
                if answer.get("ok") is False:
                    raise SignInFailed(str(answer.get("error", "Authentication failed"))[:200])
                return base64.b64decode(answer["data"]).decode()
        except (ValueError, KeyError, AttributeError, FrameError):
            raise SignInFailed("The server's answer to the sign-in makes no sense") from None


def _prepared(password: str) -> bytes:
    """The password as both sides hash it (SASLprep, RFC 4013)."""
    if password.isascii():
        return password.encode()
    from scramp import ScramException
    from scramp.utils import saslprep

    try:
        return str(saslprep(password)).encode()
    except ScramException as error:
        raise SignInFailed(f"The password cannot be used: {error}") from None


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
