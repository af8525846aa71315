"""The client of the control protocol, for consoles: one connection, one request at a time, blocking.

It imports neither asyncio nor any other slow module, because a console in batch mode lives for milliseconds. So the
standard library reads JSON: its import takes a third of the time of msgspec's.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from eccmgr.commands.answer import Exit, Format, Status
from eccmgr.control import frames, socket_trust
from eccmgr.control.barred import Barred
from eccmgr.control.client.transaction import OpenTransaction, config_command
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import (
    ConnectionBroke,
    FrameError,
    NoAnswer,
    NoConnection,
    SignInFailed,
    TransactionLost,
    UntrustedServer,
)

_CONNECT_TIMEOUT_S = 10.0
_READ_BYTES = 256 * 1024
_ALIVE = (
    (socket.TCP_KEEPIDLE, 15),
    (socket.TCP_KEEPINTVL, 5),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, 30_000),
)

Dial = Callable[[float], socket.socket]
"""Connects within some seconds, and signs in; raises NoConnection and OSError."""
OnEvent = Callable[[Mapping[str, Any]], None]


class WayThere(NamedTuple):
    """A way to a daemon: its endpoint, and what connects to it (None: a plain socket does)."""

    endpoint: Endpoint
    dial: Dial | None = None


class Result(NamedTuple):
    """The end of a command: its status, the exit code for a console in batch mode, and the answer."""

    status: Status
    exit: int
    body: str


class Client:
    """A connection that is made when it is first needed, and made anew if the listener has closed it: to the same
    endpoint, or to the next one that answers."""

    def __init__(
        self,
        endpoint: Endpoint,
        server_user: str | None = socket_trust.SERVER_USER,
        *,
        script: bool = False,
        dial: Dial | None = None,
        others: Sequence[WayThere] = (),
    ) -> None:
        """If other users may write in the folder of a Unix socket, root, this user or `server_user` must serve it; with
        None, anybody may.

        In a `script`, commands are sent before anybody reads the answers to earlier ones. `others` are the ways to
        other managers of the same cluster.
        """
        self.server_user = server_user
        self._ways = (WayThere(endpoint, dial), *others)
        self._way = 0
        self._socket: socket.socket | None = None
        self._decoder = frames.Decoder()
        self._requests = 0
        self._transaction = OpenTransaction(script=script)

    def ask(
        self,
        command: str,
        deadline: float,
        form: Format = Format.TEXT,
        on_event: OnEvent | None = None,
        width: int = 80,
        *,
        whole: bool = False,
        run_on: bool = False,
        propose: str = "",
    ) -> Result:
        """Send `command` and wait for its result, at the latest until `deadline` (of time.monotonic).

        With `on_event` the client asks for a stream, and passes each event on as it comes. The body is then the rest to
        show, or everything with `whole`. With `run_on`, a gather goes on without this client; `propose` an id for it.

        Raises NoConnection; NoAnswer if the command was sent and no answer came; TransactionLost if the command was not
        sent, because its transaction was lost with an earlier connection.
        """
        try:
            command.encode()
        except UnicodeEncodeError:
            return Result(Status.ERROR, Exit.FAILED, "Command is not valid UTF-8")
        self._requests += 1
        request = {
            "id": self._requests,
            "command": command,
            "format": form.value,
            "stream": on_event is not None,
            "whole": whole,
            "run_on": run_on,
            "propose": propose,
            "width": width,
        }
        try:
            connection = self._connected(deadline)
            named = config_command(command)
            self._transaction.allow(named)
            connection.settimeout(_left(deadline))
            self._transaction.send(named)
            connection.sendall(frames.encode(frames.REQUEST, json.dumps(request).encode()))
            result = self._read(connection, deadline, on_event)
            self._transaction.answered(ok=result.status is Status.OK)
            return result
        except TransactionLost:
            raise
        except TimeoutError:
            self.close()
            raise NoAnswer("No answer in time; a command that was sent goes on") from None
        except (OSError, FrameError, ValueError, LookupError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or error
            raise ConnectionBroke(f"The connection to {self.endpoint} broke before the answer: {reason}") from error
        except BaseException:
            # The wait was interrupted. The rest of this answer may still come, so a later command must not use this
            # connection.
            self.close()
            raise

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint of the present connection, or of the next one."""
        return self._ways[self._way].endpoint

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, and the listener has not closed it. No command may be running."""
        return self._socket is not None and not _is_closed(self._socket)

    def twin(self) -> "Client":
        """Another client for the same daemons."""
        (endpoint, dial), *others = (*self._ways[self._way :], *self._ways[: self._way])
        return Client(endpoint, self.server_user, dial=dial, others=others)

    def connect(self, deadline: float) -> bool:
        """Connect if no connection is open, and answer whether this one is new. Raises NoConnection."""
        before = self._socket
        try:
            return self._connected(deadline) is not before
        except TimeoutError:
            raise NoConnection(f"Cannot connect to {self.endpoint}: no answer in time") from None

    def interrupt(self) -> None:
        """End the wait of `ask` in another thread: it raises NoAnswer."""
        if (connection := self._socket) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next command opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._transaction.broken()

    def _connected(self, deadline: float) -> socket.socket:
        if self._socket is not None and _is_closed(self._socket):
            self.close()
        if self._socket is None:
            self._socket = _kept_alive(self._connect_to_any(deadline))
            self._decoder = frames.Decoder()
        return self._socket

    def _connect_to_any(self, deadline: float) -> socket.socket:
        """Connect to the first endpoint, from the present one on, that answers. Raises NoConnection."""
        faults = []
        for _ in self._ways:
            try:
                return self._connect(min(_CONNECT_TIMEOUT_S, _left(deadline)))
            except (SignInFailed, UntrustedServer):
                raise
            except NoConnection as error:
                faults.append(error)
                self._way = (self._way + 1) % len(self._ways)
        if len(faults) == 1:
            raise faults[0]
        raise NoConnection("; ".join(map(str, faults)))

    def _connect(self, timeout_s: float) -> socket.socket:
        endpoint, dial = self._ways[self._way]
        try:
            if dial is not None:
                return dial(timeout_s)
            if endpoint.path is None:
                return socket.create_connection((endpoint.host, endpoint.port), timeout_s)
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(timeout_s)
                socket_trust.connect(connection, endpoint.path, self.server_user)
            except BaseException:
                connection.close()
                raise
            return connection
        except OSError as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or error
            raise NoConnection(f"Cannot connect to {endpoint}: {reason}") from error

    def _read(self, connection: socket.socket, deadline: float, on_event: OnEvent | None) -> Result:
        while True:
            connection.settimeout(_left(deadline))
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionError("it was closed by the other side")
            for kind, payload in self._decoder.feed(data):
                if kind in (frames.SHORT, frames.LONG):
                    return self._refused(payload.decode("utf-8", "replace"))
                fields = json.loads(payload)
                if kind == frames.RESULT:
                    return Result(Status(fields["status"]), int(fields["exit"]), fields["body"])
                if kind == frames.CHUNK and on_event is not None:
                    on_event(fields)

    def _refused(self, text: str) -> Result:
        """The result for a request that the listener itself refused."""
        if text == Barred.UNKNOWN_CALLER:
            return Result(Status.DENIED, Exit.DENIED, text)
        return Result(Status.ERROR, Exit.FAILED, text)


def _kept_alive(connection: socket.socket) -> socket.socket:
    """`connection`, which breaks if its other end is silent on the network for half a minute. Without that, a host that
    is cut off would be waited for until the deadline."""
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection


def _is_closed(connection: socket.socket) -> bool:
    """Whether the listener has closed a connection on which no answer is due. It never speaks first, so a byte that
    came all the same ends the connection too."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError as error:
        # TLS has read a message of its own, and waits for more. The console does not import ssl without TLS.
        return type(error).__name__ != "SSLWantReadError"
    return True


def _left(deadline: float) -> float:
    """Seconds until `deadline`. Raises TimeoutError if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
