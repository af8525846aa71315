"""A program that speaks only the original control protocol, as an existing mail node does.

It was written from the protocol's description alone, without the code that it tests.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path


class OldProgram:
    """Serves `path` with a thread for each connection, and keeps the commands that it gets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.connections: list[socket.socket] = []
        self.versions = 0
        """The number of times that it was asked for its version. These commands are not kept with the others."""
        self.answers: dict[str, Callable[[], bytes]] = {
            "version": lambda: b"# mail version: 4.2",
            "summary": lambda: b"Uptime: 1 day\nDomains: 12",
            "big": lambda: b"x" * 20_000_000,
            "empty": lambda: b"",
            "binary": lambda: b"a\xffb",
            "xml summary": lambda: b"<Summary><Domains>12</Domains></Summary>",
        }
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> "OldProgram":
        self.path.unlink(missing_ok=True)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End it. A second call is harmless."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def hang_up(self) -> None:
        """Close every connection, as an idle timeout does."""
        for each in self.connections:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.connections.clear()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while (command := self._command(connection)) is not None:
                if command == "version":
                    self.versions += 1
                else:
                    self.told.append(command)
                if command == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if command == "half":
                    connection.sendall(struct.pack("!HI", 2, 1000) + b"only this")
                    return
                if command == "garbage":
                    connection.sendall(b"\x00\x63HTTP/1.1 400")
                    return
                if command == "liar":
                    connection.sendall(struct.pack("!HI", 2, 0xFFFFFFFF))
                    self._exactly(connection, 1)
                    return
                if command == "silence":
                    self._exactly(connection, 1)
                    return
                if command.startswith("sleep "):
                    time.sleep(float(command.split()[1]))
                answer = self.answers.get(command, lambda: f"Unknown command: {command}".encode())()
                head = struct.pack("!HH", 1, len(answer)) if len(answer) < 65536 else struct.pack("!HI", 2, len(answer))
                try:
                    connection.sendall(head + answer)
                except OSError:
                    return

    def _command(self, connection: socket.socket) -> str | None:
        head = self._exactly(connection, 2)
        if head is None:
            return None
        length = self._exactly(connection, 2 if head == b"\x00\x01" else 4)
        assert length is not None
        text = self._exactly(connection, int.from_bytes(length))
        return text.decode() if text is not None else None

    def _exactly(self, connection: socket.socket, length: int) -> bytes | None:
        data = b""
        while len(data) < length:
            try:
                more = connection.recv(length - len(data))
            except OSError:
                return None
            if not more:
                return None
            data += more
        return data
