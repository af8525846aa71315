"""One client's connection to a control listener.

Its commands run one after another in a task of its own. So a slow command delays the later answers on this connection,
and no others.
"""

import asyncio
import dataclasses
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog

from eccmgr.channels import Channel
from eccmgr.commands.answer import Answer, Format, Status
from eccmgr.commands.caller import Access, Caller, Event
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import Gate
from eccmgr.control import frames
from eccmgr.control.barred import Barred
from eccmgr.control.frames import Frame
from eccmgr.control.peer import user_and_place
from eccmgr.control.request import BadRequest, ConsoleRequest, chunk_frame, result_frame
from eccmgr.errors import FrameError

log = structlog.get_logger()

# A client may pipeline. If more than this is waiting, no more is read until that is answered.
_READ_AHEAD_BYTES = 256 * 1024
# Answers that are ready at the same time are sent together, up to this size.
_COALESCE_BYTES = 64 * 1024
# After this many commands in a row the other connections have their turn.
_TURN = 128
# A client that broke the protocol has this long to read the answer that says so.
_LINGER_S = 2.0
# An idle connection with an open transaction stays longer, but not for ever.
_KEPT_S = 3600.0


@dataclass(frozen=True)
class Limits:
    """The limits of a listener: seconds of idleness (0 = for ever), bytes of a command, connections at once.

    If there is a `refusal`, it is the answer to every command, and no command runs. `insecure`: callers whom
    nobody knows, which are those over TCP, may run every command.
    """

    idle_timeout_s: float = 60.0
    max_command_bytes: int = 1024 * 1024
    max_connections: int = 4096
    refusal: Barred | None = None
    insecure: bool = False


@dataclass
class Terms:
    """The terms of one listener, for its present and future connections; they may be replaced at any time."""

    limits: Limits
    listener: str = ""
    """The endpoint in the form that is shown."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        gate: Gate,
        terms: Terms,
        connections: set["Connection"],
        keeps: Callable[["Connection"], bool] = lambda _connection: False,
    ) -> None:
        """`keeps` answers whether an idle connection should stay, because something would be lost with it."""
        self._gate = gate
        self.terms = terms
        self._connections = connections
        self._keeps = keeps
        self._loop = asyncio.get_running_loop()
        self._decoder = frames.Decoder(terms.limits.max_command_bytes)
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

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        limit = self.terms.limits.max_connections
        if len(self._connections) >= limit:
            log.warning("connection refused", channel=Channel.REJECT, reason="too many", limit=limit)
            self._transport.abort()
            return
        self._connections.add(self)
        user, place = user_and_place(self._transport.get_extra_info("socket"))
        self._caller = Caller(user, listener=self.terms.listener, peer=place, session=self, access=self._access())
        self._check_idle()

    def data_received(self, data: bytes) -> None:
        """Take the bytes, and make sure that the commands in them are answered."""
        if self._ending:
            return
        if not self._decoder.pending:
            # A frame may take the idle time to arrive whole, counted from its first byte.
            self._last_active = self._loop.time()
            if self.task is None and (answer := self._at_hand(data)) is not None:
                self._transport.write(answer)
                return
        self._decoder.push(data)
        if self.task is None:
            self._task = self._loop.create_task(self._answer_all(), name="control connection")
            self._task.add_done_callback(self._stopped)
        elif self._decoder.pending > _READ_AHEAD_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more: answer its commands, then close. The waiting of a stream ends at once."""
        self._ending = True
        if self.task is not None and self._streaming:
            self.task.cancel()
        return self.task is not None

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is lost, and the waiting for answers ends."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._writable.set()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        """The client reads too slowly: send no further answers for now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable.set()

    # Called by the server.

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that answers commands now; None if there is none."""
        return None if self._task is None or self._task.done() else self._task

    def terms_changed(self) -> None:
        """The listener has new limits, which hold from now on."""
        self._decoder.limit = self.terms.limits.max_command_bytes
        self._caller = dataclasses.replace(self._caller, access=self._access())
        if not self._ending:
            if self._timer is not None:
                self._timer.cancel()
            self._check_idle()

    def _access(self) -> Access:
        """What the listener leaves to the caller: the kernel tells who is behind a Unix socket, and nobody who is
        behind TCP."""
        known = self._transport.get_extra_info("socket").family == socket.AF_UNIX
        return Access.ALL if known or self.terms.limits.insecure else Access.OPEN

    def finish(self) -> None:
        """Take no more commands, and close after the present ones are answered."""
        self._ending = True
        if self.task is None:
            self._transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """Close at once; answers the task to wait for, if one runs."""
        if self.task is not None:
            self.task.cancel()
        self._transport.abort()
        return self.task

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            log.error("control connection failed", exc_info=error)
            self._transport.abort()

    def _at_hand(self, data: bytes) -> bytes | None:
        """The answer if a client sends a single command that needs no I/O, as monitoring does; None if the answer takes
        a task."""
        payload = frames.only_frame(data)
        if payload is None or len(payload) > self._decoder.limit or self.terms.limits.refusal:
            return None
        if not self._writable.is_set():
            return None
        answer = self._gate.answer_at_hand(payload.decode(errors="replace"), self._caller)
        return None if answer is None else frames.encode_text(answer)

    async def _answer_all(self) -> None:
        try:
            while await self._answer_frames():
                # More may have arrived while the client took its time to read.
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
        """Answer every frame that has arrived; answers their number."""
        answered = 0
        while (frame := self._decoder.pull()) is not None:
            if self._out and not self._flushing:
                # An answer waits for those beside it, but not for a slow one.
                self._flushing = True
                self._loop.call_soon(self._flush)
            # This takes two statements: `_out` may be sent and replaced before the answer is ready.
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
        """Send the output so far. A client that has taken none of it for the idle time is dropped."""
        self._flush()
        left = self._transport.get_write_buffer_size()
        while not self._writable.is_set():
            try:
                async with asyncio.timeout(self.terms.limits.idle_timeout_s or None):
                    await self._writable.wait()
            except TimeoutError:
                before, left = left, self._transport.get_write_buffer_size()
                if left >= before:
                    log.warning("connection closed", reason="the client does not read", user=self._caller.user)
                    self._transport.abort()
                    return

    def _hang_up(self) -> None:
        """Close after an error, but not at once: a client that is still sending would then lose our answer."""
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
            if self.terms.limits.refusal:
                return frames.encode_text(self.terms.limits.refusal)
            return frames.encode_text((await reply(self._gate, line, self._caller)).body)
        if kind == frames.REQUEST:
            return await self._request(payload)
        if kind == frames.AUTH:
            refusal = {"ok": False, "error": "This listener does not ask for authentication"}
            return frames.encode(frames.AUTH, json.dumps(refusal).encode())
        raise FrameError(f"Unknown frame type {kind}")

    async def _request(self, payload: bytes) -> bytes:
        try:
            request = ConsoleRequest.parse(payload)
        except BadRequest as error:
            fault = f"Not a request: {error}"
            return result_frame(error.id, Reply(Answer(fault, Status.ERROR, usage=True), fault))
        if refusal := self.terms.limits.refusal:
            return result_frame(request.id, Reply(Answer(refusal, Status.DENIED), refusal))
        if not request.stream:
            return result_frame(request.id, await reply(self._gate, request.command, self._caller, request.form))

        async def emit(event: Event) -> None:
            self._out += chunk_frame(request.id, event)
            if len(self._out) >= _COALESCE_BYTES:
                await self._drain()
            elif not self._flushing:
                # Events of one step are sent together.
                self._flushing = True
                self._loop.call_soon(self._flush)

        caller = dataclasses.replace(self._caller, emit=emit, width=request.width)
        self._streaming = True
        try:
            answered = await reply(self._gate, request.command, caller, request.form)
        finally:
            self._streaming = False
        if answered.answer.tail is not None and request.form is Format.TEXT and not request.whole:
            answered = Reply(answered.answer, answered.answer.tail)
        return result_frame(request.id, answered)

    def _check_idle(self) -> None:
        often = timeout = self.terms.limits.idle_timeout_s
        if timeout == 0:
            return
        if keeps := self._keeps(self):
            timeout = max(timeout, _KEPT_S)
        quiet = 0.0 if self.task is not None else self._loop.time() - self._last_active
        if quiet >= timeout:
            said = log.warning if keeps else log.debug
            said("connection closed", reason="idle", user=self._caller.user, transaction="lost" if keeps else "none")
            # Not close(), which would wait for ever for a client that does not read the end of its last answer.
            self._transport.abort()
        else:
            # The reason to keep it may end at any time.
            self._timer = self._loop.call_later(min(timeout - quiet, often), self._check_idle)
