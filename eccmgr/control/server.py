"""The control listener: answers the frames of every console, script and check that connects.

One Session a connection. Its commands run one after another in a task of its own, so a slow command
delays the answers behind it on that connection and on no other.
"""

import asyncio
import contextlib
import dataclasses
import functools
import json
import pwd
import re
import resource
import socket
import struct
from dataclasses import dataclass
from typing import cast

import structlog

from eccmgr.commands.answer import Answer, Exit, Format, Status
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.table import Caller, Event, Table
from eccmgr.control import frames
from eccmgr.control.endpoint import Endpoint, Listening, bind
from eccmgr.control.frames import Frame
from eccmgr.errors import FrameError

log = structlog.get_logger()

# A client may pipeline; with more than this waiting it is read no further until that is answered.
_READ_AHEAD_BYTES = 256 * 1024
# Answers that are ready together leave together, up to this size.
_COALESCE_BYTES = 64 * 1024
# After so many commands in a row the other connections have their turn.
_TURN = 128
# A client that broke the protocol has this long to read why.
_LINGER_S = 2.0
# Descriptors that clients must leave to the connections to Redis, logs and whatever a command opens.
_RESERVED_DESCRIPTORS = 128
_WIDTH_MAX = 100_000
# JSON can write halves of characters, which UTF-8 and so Redis cannot.
_SURROGATE = re.compile("[\ud800-\udfff]")


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
        limits = limits or Limits()
        self.limits = dataclasses.replace(
            limits, max_connections=min(limits.max_connections, _descriptors_for_clients())
        )
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
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        # Once more on every turn: a connection that was being taken when the endpoints closed comes in late.
        while self._sessions and loop.time() < deadline:
            for session in list(self._sessions):
                session.finish()
            tasks = [session.task for session in self._sessions if session.task is not None]
            await asyncio.wait(tasks, timeout=0.05) if tasks else await asyncio.sleep(0.01)
        while self._sessions:
            aborted = [session.abort() for session in self._sessions]
            await asyncio.gather(*(task for task in aborted if task is not None), return_exceptions=True)
            # The event loop tells of a lost connection, and closes its descriptor, on its next turn.
            await asyncio.sleep(0)

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
        self._out = bytearray()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._caller = Caller("")
        self._flushing = False
        self._ending = False
        self._streaming = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._timer: asyncio.TimerHandle | None = None
        self._last_active = self._loop.time()
        self._task: asyncio.Task[None] | None = None

    # The protocol's side: what the event loop tells us.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._sessions) >= self._limits.max_connections:
            log.warning("connection refused", reason="too many", limit=self._limits.max_connections)
            self._transport.abort()
            return
        self._sessions.add(self)
        self._caller = Caller(_user_of(self._transport.get_extra_info("socket")))
        if self._limits.idle_timeout_s > 0:
            self._timer = self._loop.call_later(self._limits.idle_timeout_s, self._check_idle)

    def data_received(self, data: bytes) -> None:
        """Take the bytes and see that the commands in them are being answered."""
        if self._ending:
            return
        if not self._decoder.pending:
            # A frame has the idle time to arrive whole, counted from its first byte.
            self._last_active = self._loop.time()
        self._decoder.push(data)
        if self.task is None:
            self._task = self._loop.create_task(self._answer_all(), name="control session")
            self._task.add_done_callback(self._stopped)
        elif self._decoder.pending > _READ_AHEAD_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client has said all: answer what it asked, then close. A stream's waiting ends at once."""
        self._ending = True
        if self.task is not None and self._streaming:
            self.task.cancel()
        return self.task is not None

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is gone, and with it the waiting for answers."""
        self._sessions.discard(self)
        if self._timer is not None:
            self._timer.cancel()
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

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What answers commands now, if anything does."""
        return None if self._task is None or self._task.done() else self._task

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

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            log.error("control session failed", exc_info=error)
            self._transport.abort()

    async def _answer_all(self) -> None:
        try:
            while await self._answer_frames():
                # More may have come in while the client took its time to read.
                await self._drain()
        except FrameError as error:
            self._out += frames.encode_text(str(error))
            await self._drain()
            self._hang_up()
            return
        if self._ending:
            self._transport.close()
        else:
            self._transport.resume_reading()

    async def _answer_frames(self) -> int:
        """Answer every frame that is there; how many those were."""
        answered = 0
        while (frame := self._decoder.pull()) is not None:
            if self._out and not self._flushing:
                # An answer waits for its neighbours, but not for one that takes its time.
                self._flushing = True
                self._loop.call_soon(self._flush)
            # Not in one statement: `_out` may be sent, and be another, by the time the answer is there.
            answer = await self._answer(frame)
            self._out += answer
            self._last_active = self._loop.time()
            answered += 1
            if answered % _TURN == 0 or len(self._out) >= _COALESCE_BYTES:
                await self._drain()
                await asyncio.sleep(0)
        return answered

    def _flush(self) -> None:
        self._flushing = False
        if self._out:
            data, self._out = self._out, bytearray()
            self._transport.write(data)

    async def _drain(self) -> None:
        """Send what is there; a client that has taken nothing of it for the idle time is given up."""
        self._flush()
        left = self._transport.get_write_buffer_size()
        while not self._writable.is_set():
            try:
                async with asyncio.timeout(self._limits.idle_timeout_s or None):
                    await self._writable.wait()
            except TimeoutError:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    log.warning("session closed", reason="the client does not read", user=self._caller.user)
                    self._transport.abort()
                    return

    def _hang_up(self) -> None:
        """Close after an error: a client that is still sending would lose our answer if we closed at once."""
        if self._ending:
            self._transport.close()
            return
        self._ending = True
        self._transport.write_eof()
        self._transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_LINGER_S, self._transport.abort)

    async def _answer(self, frame: Frame) -> bytes:
        kind, payload = frame
        if kind in (frames.SHORT, frames.LONG):
            try:
                line = payload.decode()
            except UnicodeDecodeError:
                return frames.encode_text("Command is not valid UTF-8")
            return frames.encode_text((await reply(self._table, line, self._caller)).body)
        if kind == frames.REQUEST:
            return await self._request(payload)
        if kind == frames.AUTH:
            refusal = {"ok": False, "error": "This listener does not ask for authentication"}
            return frames.encode(frames.AUTH, json.dumps(refusal).encode())
        raise FrameError(f"Unknown frame type {kind}")

    async def _request(self, payload: bytes) -> bytes:
        try:
            request = Request.parse(payload)
        except BadRequest as error:
            refusal = f"Not a request: {error}"
            return _result(error.id, Reply(Answer(refusal, Status.ERROR, usage=True), refusal))
        if not request.stream:
            return _result(request.id, await reply(self._table, request.command, self._caller, request.form))

        async def emit(event: Event) -> None:
            self._out += _chunk(request.id, event)
            await self._drain()

        caller = Caller(self._caller.user, emit, request.width)
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
            log.debug("session closed", reason="idle", user=self._caller.user)
            # Not close(): that would wait for ever for a client that does not read the end of its last answer.
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(timeout - quiet, self._check_idle)


class BadRequest(ValueError):
    """Raised when a REQUEST is none; `id` is what it calls itself, as far as that can be told."""

    def __init__(self, reason: str, request_id: "int | str | None" = None) -> None:
        super().__init__(reason)
        self.id = request_id


@dataclass(frozen=True)
class Request:
    """The JSON of a REQUEST frame."""

    id: int | str | None
    command: str
    form: Format
    stream: bool
    width: int

    @classmethod
    def parse(cls, payload: bytes) -> "Request":
        """Raises BadRequest with what is wrong."""
        try:
            fields = json.loads(payload)
        except (ValueError, RecursionError):
            raise BadRequest("the payload is no JSON") from None
        if not isinstance(fields, dict):
            raise BadRequest("an object is expected")
        named = fields.get("id")
        if not isinstance(named, int | str | None):
            raise BadRequest("id is a number or a string")
        command, form, width = fields.get("command"), fields.get("format", "text"), fields.get("width", 80)
        if not isinstance(command, str) or _SURROGATE.search(command):
            raise BadRequest("command is a string of valid Unicode", named)
        if form not in tuple(Format):
            raise BadRequest("format is one of text, json, xml", named)
        if not isinstance(width, int) or not 1 <= width <= _WIDTH_MAX:
            raise BadRequest("width is a number of columns", named)
        return cls(named, command, Format(form), fields.get("stream") is True, width)


def _result(request_id: int | str | None, answered: Reply) -> bytes:
    exit_code = Exit.USAGE if answered.answer.usage else answered.answer.exit
    fields = {
        "id": request_id,
        "status": answered.answer.status.value,
        "exit": int(exit_code),
        "body": answered.body,
    }
    return frames.encode(frames.RESULT, json.dumps(fields).encode())


def _chunk(request_id: int | str | None, event: Event) -> bytes:
    return frames.encode(frames.CHUNK, json.dumps({"id": request_id, **event}).encode())


def _descriptors_for_clients() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVED_DESCRIPTORS)


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
