"""A client of the original control protocol: text frames only, over connections that it keeps and makes anew."""

import asyncio
import os
import re
import socket
import time
from dataclasses import dataclass

from eccmgr.commands.gate import NOT_AUTHORIZED
from eccmgr.control import frames, socket_trust
from eccmgr.control.barred import Barred
from eccmgr.control.endpoint import Endpoint
from eccmgr.errors import NoConnection
from worker.modules.far_answer import AnswerRefused, receive_answer

_BANNER_MAX = 64 * 1024
_QUEUE_FULL_WAIT_S = 0.05
_OF_A_CLUSTER = re.compile(r"\b(eccmgr|ecnode) version:", re.IGNORECASE)


class FarEndError(Exception):
    """Raised if no answer comes. The message says whether the command may have been carried out."""


@dataclass(frozen=True)
class FarTerms:
    """The limits for a far end, and the user who may serve it.

    `connections` at once, seconds for an answer and for keeping an idle connection, bytes of the `longest` answer, the
    uid that a Unix socket's server may have besides root's and our own, and seconds until it has said what it is.
    """

    connections: int = 4
    timeout_s: float = 60.0
    keep_s: float = 30.0
    longest: int = 32 << 20
    server_uid: int | None = None
    introduction_s: float = 5.0


@dataclass
class FarConnection:
    """One connection, and the time since which it has been idle."""

    socket: socket.socket
    idle_since: float = 0.0

    @property
    def usable(self) -> bool:
        """Whether the connection is open, and the other side has sent nothing unasked."""
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


class FarEnd:
    """The program at `endpoint`. Each connection carries one command at a time, and no command is ever sent again.

    Each connection is asked for the program's version first. A daemon of ours is refused. Otherwise a command that a
    node does not know would come back to the cluster, as the node's own user and from every node anew.
    """

    def __init__(self, endpoint: Endpoint, terms: FarTerms) -> None:
        self._endpoint, self._terms, self._keep_s = endpoint, terms, terms.keep_s
        self._slots = asyncio.Semaphore(terms.connections)
        self._idle: list[FarConnection] = []
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, line: str) -> str:
        """Send a command; answers the answer. Raises FarEndError."""
        timeout_s, sent = self._terms.timeout_s, False
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                connection = await self._connected()
                sent = True
                text = await self._ask_on(connection, line, self._terms.longest)
        except TimeoutError:
            said = "a command that was sent goes on" if sent else "the command was not sent"
            raise FarEndError(f"no answer from {self._endpoint} within {timeout_s:g} s; {said}") from None
        self._keep(connection)
        return text

    def close(self) -> None:
        """Stop keeping connections: close idle ones now, and used ones after their answer."""
        self._keep_s = 0.0
        self._close_idle()

    def _keep(self, connection: FarConnection) -> None:
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._keep_s == 0:
            self._close_idle()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s, self._look_at_idle)

    def _look_at_idle(self) -> None:
        self._timer = None
        self._close_idle()
        if self._idle:
            left = min(connection.idle_since for connection in self._idle) + self._keep_s - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(0.01, left), self._look_at_idle)

    def _close_idle(self) -> None:
        """Close the connections that have failed, or have been idle for too long."""
        kept, self._idle = self._idle, []
        for connection in kept:
            if time.monotonic() - connection.idle_since < self._keep_s and connection.usable:
                self._idle.append(connection)
            else:
                connection.socket.close()
        if not self._idle and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _connected(self) -> FarConnection:
        """The connection that was used last, if it is still good; else a new one, after a check of the program."""
        self._close_idle()
        if self._idle:
            return self._idle.pop()
        limit_s = self._terms.introduction_s
        try:
            async with asyncio.timeout(limit_s):
                connection = FarConnection(await self._connect())
                await self._recognize(connection)
                return connection
        except TimeoutError:
            reason = f"it did not say within {limit_s:g} s which program it is"
            raise FarEndError(f"{self._endpoint} was not given the command: {reason}") from None

    async def _connect(self) -> socket.socket:
        endpoint = self._endpoint
        try:
            if endpoint.path is not None:
                return await self._connect_unix(endpoint.path)
            return await _connect_tcp(endpoint.host, endpoint.port)
        except NoConnection as error:
            raise FarEndError(str(error)) from None
        except OSError as error:
            # The text of the library's errors repeats the address; only the text for an unknown name is good.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or "no answer in time"
            raise FarEndError(f"cannot reach {endpoint}: {reason}") from None

    async def _connect_unix(self, path: str) -> socket.socket:
        named = self._terms.server_uid
        believed = {0, os.geteuid(), *(() if named is None else (named,))}
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.setblocking(False)
            while True:
                try:
                    socket_trust.connect_to_one_of(connection, path, believed)
                except BlockingIOError:
                    # The program's queue of connections is full.
                    await asyncio.sleep(_QUEUE_FULL_WAIT_S)
                    continue
                return connection
        except BaseException:
            connection.close()
            raise

    async def _recognize(self, connection: FarConnection) -> None:
        """Refuse a daemon of ours. Also refuse a program that does not say what it is, because it may be one."""
        banner = await self._ask_on(connection, "version", _BANNER_MAX)
        reason = ""
        if kind := _OF_A_CLUSTER.search(banner):
            reason = f"it is an {kind[1].lower()}; set control to a program that is not part of a cluster"
        elif banner.startswith((Barred.UNKNOWN_CALLER, NOT_AUTHORIZED)):
            reason = f"it does not say which program it is: version answers '{banner[:80]}'"
        if reason:
            connection.socket.close()
            raise FarEndError(f"{self._endpoint} was not given the command: {reason}")

    async def _ask_on(self, connection: FarConnection, line: str, longest: int) -> str:
        """Send a command and receive its answer. Only after an answer may the connection be used again."""
        loop, endpoint = asyncio.get_running_loop(), self._endpoint
        try:
            await loop.sock_sendall(connection.socket, frames.encode_text(line))
            return await receive_answer(connection.socket, longest)
        except AnswerRefused as error:
            connection.socket.close()
            raise FarEndError(f"{endpoint} {error}") from None
        except OSError as error:
            connection.socket.close()
            reason = f"the connection to {endpoint} broke before the answer: {error.strerror or error}"
            raise FarEndError(f"{reason}; the command may have been carried out") from None
        except BaseException:
            # The rest of this answer may still come, so a later command must not use this connection.
            connection.socket.close()
            raise


async def _connect_tcp(host: str, port: int) -> socket.socket:
    """A connection to the first address of `host` that answers. Raises OSError."""
    loop, failure = asyncio.get_running_loop(), OSError(0, "it has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure
