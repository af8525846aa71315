"""The control listener: answers the frames of every console, script and check that connects.

One Session a connection. Its commands run one after another in a task of its own, so a slow command
delays the answers behind it on that connection and on no other.
"""

import asyncio
import contextlib
import functools
import json
import pwd
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Any, cast

import structlog

from eccmgr.commands.answer import Answer, Exit, Format, Status
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.table import Caller, Event, Table
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint, Listening, bind
from eccmgr.control.frames import Frame
from eccmgr.errors import FrameError

log = structlog.get_logger()

# A client may pipeline; beyond these many waiting commands it is read no further until some are answered.
_QUEUE_MAX = 1024
_QUEUE_BYTES = 8 * 1024 * 1024
# Answers that are ready together leave together, up to this size.
_COALESCE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What a listener allows: seconds of idleness (0 = for ever), bytes of a command, connections at once."""

    idle_timeout_s: float = 60.0
    max_command_bytes: int = 1024 * 1024
    max_connections: int = 4096


class ControlServer:
    """Listens on any number of endpoints and answers commands out of one table."""

    def __init__(self, table: Table, limits: Limits | None = None) -> None:
        self.table = table
        self.limits = limits or Limits()
        self._sessions: set[Session] = set()
        self._listening: list[tuple[Listening, asyncio.Server]] = []

    @property
    def endpoints(self) -> list[Endpoint]:
        """Where this server listens, with the port that the system chose where 0 was asked for."""
        return [listening.endpoint for listening, _ in self._listening]

    async def listen(self, endpoint: Endpoint) -> None:
        """Open one more endpoint. Raises ListenError where that cannot be."""
        listening = await asyncio.to_thread(bind, endpoint)
        loop = asyncio.get_running_loop()
        factory = self._accept
        if endpoint.path is None:
            server = await loop.create_server(factory, sock=listening.socket, backlog=1024)
        else:
            server = await loop.create_unix_server(factory, sock=listening.socket, backlog=1024)
        self._listening.append((listening, server))
        log.info("listening", endpoint=str(listening.endpoint))

    async def close(self, grace_s: float = 2.0) -> None:
        """Close the endpoints, let answers under way leave (at most `grace_s`), end every session."""
        for listening, server in self._listening:
            await asyncio.to_thread(listening.unlink)
            server.close()
        self._listening.clear()
        for session in list(self._sessions):
            session.finish()
        deadline = asyncio.get_running_loop().time() + grace_s
        while self._sessions and asyncio.get_running_loop().time() < deadline:
            tasks = [s.task for s in self._sessions if s.task is not None]
            await asyncio.wait(tasks, timeout=0.05) if tasks else await asyncio.sleep(0.01)
        remaining = [session.abort() for session in list(self._sessions)]
        await asyncio.gather(*(task for task in remaining if task is not None), return_exceptions=True)

    def _accept(self) -> "Session":
        return Session(self.table, self.limits, self._sessions)


class Session(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, table: Table, limits: Limits, sessions: set["Session"]) -> None:
        self._table = table
        self._limits = limits
        self._sessions = sessions
        self._loop = asyncio.get_running_loop()
        self._decoder = frames.Decoder(limits.max_command_bytes)
        self._queue: deque[Frame] = deque()
        self._queued_bytes = 0
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._user = ""
        self._speaks_json = False
        self._ending = False
        self._streaming = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._last_active = self._loop.time()
        self.task: asyncio.Task[None] | None = None

    # The protocol's side: what the event loop tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._sessions) >= self._limits.max_connections:
            log.warning("connection refused", reason="too many", limit=self._limits.max_connections)
            self._transport.abort()
            return
        self._sessions.add(self)
        self._user = _user_of(self._transport.get_extra_info("socket"))
        if self._limits.idle_timeout_s > 0:
            self._idle_timer = self._loop.call_later(self._limits.idle_timeout_s, self._check_idle)

    def data_received(self, data: bytes) -> None:
        """Cut the bytes into frames and see that they are being answered."""
        if self._ending:
            return
        try:
            for frame in self._decoder.feed(data):
                self._queue.append(frame)
                self._queued_bytes += len(frame.payload)
        except FrameError as error:
            # An answer to a broken frame has its place behind those to the frames before it.
            self._queue.append(Frame(-1, str(error).encode()))
            self._ending = True
        if len(self._queue) > _QUEUE_MAX or self._queued_bytes > _QUEUE_BYTES:
            self._transport.pause_reading()
        if self._queue and self.task is None:
            self._start()

    def eof_received(self) -> bool:
        """The client has said all: answer what it asked, then close. A stream's waiting ends at once."""
        self._ending = True
        if self.task is None:
            return False
        if self._streaming:
            self.task.cancel()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, and with it the waiting for answers."""
        self._sessions.discard(self)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._writable.set()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        """The client reads too slowly: hold further answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # The server's side.

    def finish(self) -> None:
        """Take no more commands; close when those at hand are answered."""
        self._ending = True
        if self.task is None:
            self._transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """Close at once; the task to wait for, if one runs."""
        if self.task is not None:
            self.task.cancel()
        self._transport.abort()
        return self.task

    def _start(self) -> None:
        self.task = self._loop.create_task(self._answer_queue(), name="control session")
        self.task.add_done_callback(self._stopped)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        self.task = None
        self._last_active = self._loop.time()
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            log.error("control session failed", exc_info=error)
            self._transport.abort()
        elif self._queue:
            self._start()
        elif self._ending:
            self._transport.close()

    async def _answer_queue(self) -> None:
        out = bytearray()
        while self._queue:
            frame = self._queue.popleft()
            self._queued_bytes -= len(frame.payload)
            out += await self._answer(frame)
            if len(out) >= _COALESCE_BYTES or not self._queue:
                await self._write(bytes(out))
                out.clear()
            if not self._queue and not self._ending:
                self._transport.resume_reading()

    async def _write(self, data: bytes) -> None:
        """Send; a client that does not read for the idle time is given up."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(self._limits.idle_timeout_s or None):
                    await self._writable.wait()
            except TimeoutError:
                log.warning("session closed", reason="the client does not read", user=self._user)
                self._transport.abort()

    async def _answer(self, frame: Frame) -> bytes:
        kind, payload = frame
        if kind in (frames.SHORT, frames.LONG):
            try:
                line = payload.decode()
            except UnicodeDecodeError:
                return frames.encode_text("Command is not valid UTF-8")
            return frames.encode_text((await reply(self._table, line, Caller(self._user))).body)
        if kind == frames.REQUEST:
            self._speaks_json = True
            return await self._request(payload)
        if kind == frames.AUTH:
            self._speaks_json = True
            refusal = {"ok": False, "error": "This listener does not ask for authentication"}
            return frames.encode(frames.AUTH, json.dumps(refusal).encode())
        text = payload.decode() if kind == -1 else f"Unknown frame type {kind}"
        self._ending = True
        return frames.encode_text(text)

    async def _request(self, payload: bytes) -> bytes:
        try:
            request = Request.parse(payload)
        except ValueError as error:
            return _result(None, Reply(Answer("", Status.ERROR, usage=True), f"Not a request: {error}"))
        if not request.stream:
            return _result(request.id, await reply(self._table, request.command, Caller(self._user), request.form))

        async def emit(event: Event) -> None:
            await self._write(_chunk(request.id, event))

        caller = Caller(self._user, emit, request.width)
        self._streaming = True
        try:
            answered = await reply(self._table, request.command, caller, request.form)
        finally:
            self._streaming = False
        if answered.answer.tail is not None and request.form is Format.TEXT:
            answered = Reply(answered.answer, answered.answer.tail)
        return _result(request.id, answered)

    def _check_idle(self) -> None:
        timeout = self._limits.idle_timeout_s
        quiet = 0.0 if self.task is not None else self._loop.time() - self._last_active
        if quiet >= timeout:
            log.debug("session closed", reason="idle", user=self._user)
            self._transport.close()
        else:
            self._idle_timer = self._loop.call_later(timeout - quiet, self._check_idle)


@dataclass(frozen=True)
class Request:
    """The JSON of a REQUEST frame."""

    id: Any
    command: str
    form: Format
    stream: bool
    width: int

    @classmethod
    def parse(cls, payload: bytes) -> "Request":
        """Raises ValueError with what is wrong."""
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            raise ValueError("the payload is no JSON") from None
        if not isinstance(fields, dict) or not isinstance(fields.get("command"), str):
            raise ValueError("an object with a command is expected")
        form, width = fields.get("format", "text"), fields.get("width", 80)
        if form not in tuple(Format):
            raise ValueError("format is one of text, json, xml")
        if not isinstance(width, int) or not 1 <= width <= 100_000:
            raise ValueError("width is a number of columns")
        return cls(fields.get("id"), fields["command"], Format(form), fields.get("stream") is True, width)


def _result(request_id: Any, answered: Reply) -> bytes:
    exit_code = Exit.USAGE if answered.answer.usage else answered.answer.exit
    fields = {
        "id": request_id,
        "status": answered.answer.status.value,
        "exit": int(exit_code),
        "body": answered.body,
    }
    return frames.encode(frames.RESULT, json.dumps(fields).encode())


def _chunk(request_id: Any, event: Event) -> bytes:
    return frames.encode(frames.CHUNK, json.dumps({"id": request_id, **event}).encode())


def _user_of(connection: socket.socket) -> str:
    """The name of the caller on a Unix socket, by the peer's credentials; `anonymous` on TCP."""
    if connection.family != socket.AF_UNIX:
        return "anonymous"
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    with contextlib.suppress(KeyError):
        return _name_of(uid)
    return f"uid {uid}"


@functools.lru_cache(maxsize=1024)
def _name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name
