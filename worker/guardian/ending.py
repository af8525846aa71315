"""Ends a session in Redis without the agent: one exchange over a bare socket, with the standard library alone."""

import contextlib
import socket
import ssl
from collections.abc import Sequence

from worker.guardian.charter import Server
from worker.guardian.wire import Ending

_LONGEST_ANSWER = 1024 * 1024
_FIRST_S = 0.2


class EndingFailed(Exception):
    """Raised when Redis could not be told; the session then ends with its lease."""


class Way:
    """The way to Redis of a process that is about to lose its rights: everything that needs the rights is done here and
    now."""

    def __init__(self, server: Server) -> None:
        """Raises OSError if a file of the server's cannot be read."""
        server.host.encode("idna")  # loads the codec, which each look-up of a name takes
        self._context = _context(server) if server.tls else None
        self._kept: list[socket.socket] = []
        if server.path:
            # Later this process may have no right to open the socket's file.
            with contextlib.suppress(OSError):
                self._kept.append(_connect(server, None, _FIRST_S))

    def close(self) -> None:
        """Close the kept connection."""
        while self._kept:
            self._kept.pop().close()

    def end_session(self, server: Server, ending: Ending, arguments: Sequence[str], timeout_s: float = 1.0) -> None:
        """Run the script on `server`, which may have moved; `timeout_s` holds for each wait.

        Raises EndingFailed.
        """
        try:
            connection = self._kept.pop() if self._kept else None
            if connection is not None:
                with contextlib.suppress(OSError), contextlib.ExitStack() as failed:
                    failed.callback(connection.close)
                    connection.settimeout(timeout_s)
                    _exchange(connection, server, ending, arguments)
                    failed.pop_all()
                    self._kept.append(connection)
                    return
            with _connect(server, self._context, timeout_s) as fresh:
                _exchange(fresh, server, ending, arguments)
        except (OSError, ValueError) as error:
            raise EndingFailed(str(error) or type(error).__name__) from None


def _exchange(connection: socket.socket, server: Server, ending: Ending, arguments: Sequence[str]) -> None:
    """Send the script and read the answers. Raises OSError, and ValueError if Redis refuses."""
    commands: list[Sequence[str]] = []
    if server.password:
        commands.append(("AUTH", server.username, server.password) if server.username else ("AUTH", server.password))
    if server.db:
        commands.append(("SELECT", str(server.db)))
    commands.append(("EVAL", ending.script, str(len(ending.keys)), *ending.keys, *arguments))
    connection.sendall(b"".join(_packed(command) for command in commands))
    answers = _EndingAnswers(connection)
    for _ in commands:
        answers.read()


def _context(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file or None)
    if not server.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif not server.check_hostname:
        context.check_hostname = False
    if server.cert_file:
        context.load_cert_chain(server.cert_file, server.key_file or None)
    return context


def _connect(server: Server, context: ssl.SSLContext | None, timeout_s: float) -> socket.socket:
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
    if context is None:
        return connection
    with contextlib.ExitStack() as failed:
        failed.callback(connection.close)
        wrapped = context.wrap_socket(connection, server_hostname=server.host)
        failed.pop_all()
    return wrapped


def _packed(command: Sequence[str]) -> bytes:
    parts = [part.encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


class _EndingAnswers:
    """Reads RESP2 answers one after another; raises an error among them as ValueError."""

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
            raise ConnectionError("the connection was closed")
        self._data += data
