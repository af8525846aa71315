"""Ends a session in Redis without the agent: one exchange over a bare socket, with the standard library alone."""

import contextlib
import socket
import ssl
from collections.abc import Sequence

from worker.guardian.wire import Ending, Server

_LONGEST_ANSWER = 1024 * 1024


class EndingFailed(Exception):
    """Raised when Redis could not be told; the session then ends with its lease."""


def end_session(ending: Ending, arguments: Sequence[str], timeout_s: float = 1.0) -> None:
    """Run the script; `timeout_s` holds for each wait. Raises EndingFailed."""
    server = ending.server
    commands: list[Sequence[str]] = []
    if server.password:
        commands.append(("AUTH", server.username, server.password) if server.username else ("AUTH", server.password))
    if server.db:
        commands.append(("SELECT", str(server.db)))
    commands.append(("EVAL", ending.script, str(len(ending.keys)), *ending.keys, *arguments))
    try:
        with _connect(server, timeout_s) as connection:
            connection.sendall(b"".join(_packed(each) for each in commands))
            answers = _Answers(connection)
            for _ in commands:
                answers.read()
    except (OSError, ValueError) as error:
        raise EndingFailed(str(error) or type(error).__name__) from None


def _connect(server: Server, timeout_s: float) -> socket.socket:
    if server.path:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout_s)
        try:
            connection.connect(server.path)
        except OSError:
            connection.close()
            raise
        return connection
    connection = socket.create_connection((server.host, server.port), timeout_s)
    if not server.tls:
        return connection
    context = ssl.create_default_context(cafile=server.ca_file or None)
    if not server.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif not server.check_hostname:
        context.check_hostname = False
    if server.cert_file:
        context.load_cert_chain(server.cert_file, server.key_file or None)
    with contextlib.ExitStack() as failed:
        failed.callback(connection.close)
        wrapped = context.wrap_socket(connection, server_hostname=server.host)
        failed.pop_all()
    return wrapped


def _packed(command: Sequence[str]) -> bytes:
    parts = [each.encode() for each in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in parts)


class _Answers:
    """Reads RESP2 answers one after another; an error among them is raised as ValueError."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._data = connection, bytearray()

    def read(self) -> None:
        """Read one answer and drop its value."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise ValueError(rest.decode(errors="replace"))
        if kind == b"$" and int(rest) >= 0:
            self._take(int(rest) + 2)
        elif kind == b"*":
            for _ in range(int(rest)):
                self.read()

    def _line(self) -> bytes:
        while (end := self._data.find(b"\r\n")) < 0:
            self._more()
        return self._take(end + 2)[:-2]

    def _take(self, length: int) -> bytes:
        while len(self._data) < length:
            self._more()
        taken = bytes(self._data[:length])
        del self._data[:length]
        return taken

    def _more(self) -> None:
        data = self._connection.recv(65536)
        if not data or len(self._data) > _LONGEST_ANSWER:
            raise ValueError("the connection was closed")
        self._data += data
