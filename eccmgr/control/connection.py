"""One client's connection to a control listener.

Its commands run one after another in a task of its own. So a slow command delays only the later answers on this
connection.
"""

import asyncio
import math
import socket
from collections.abc import Callable
from typing import cast

import structlog

from eccmgr.commands.answer import Answer, Status
from eccmgr.commands.caller import Caller, Event
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import ROOM_S, Gate
from eccmgr.control import frames, limits
from eccmgr.control.barred import Barred
from eccmgr.control.crowd import Crowd
from eccmgr.control.frames import Frame
from eccmgr.control.holdings import Stake
from eccmgr.control.limits import Terms
from eccmgr.control.peer import RemoteEnd, remote_end
from eccmgr.control.request import REQUEST_BYTES_MAX, BadRequest, ConsoleRequest, chunk_frame, result_frame
from eccmgr.control.visitor import Visitor
from eccmgr.errors import FrameError

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(
        self,
        gate: Gate,
        terms: Terms,
        crowd: "Crowd[Connection]",
        keeps: Callable[["Connection"], bool] = lambda _connection: False,
        lost: Callable[["Connection"], None] = lambda _connection: None,
    ) -> None:
        """`keeps` answers whether an idle connection should stay, because a transaction would be lost with it; `lost`
        drops that transaction."""
        self._gate = gate
        self.terms = terms
        self._crowd = crowd
        self._keeps, self._lost = keeps, lost
        self._loop = asyncio.get_running_loop()
        self._decoder = frames.Decoder(terms.limits.max_command_bytes)
        self._out = bytearray()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.remote = RemoteEnd("", "", "")
        self.visitor = Visitor(gate, terms, self.remote, socket.AF_UNIX, None, Caller(""))
        self._unread = self._unsent = Stake(terms.unread, "")
        self._turned_away, self._thrown_away = "", 0
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
        """Accept the connection, or turn it away if there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        about = self._transport.get_extra_info
        self.remote = remote_end(about("socket"))
        key = self.remote.key
        self._unread, self._unsent = Stake(self.terms.unread, key), Stake(self._crowd.unsent, key)
        caller = Caller("", listener=self.terms.listener, peer=self.remote.place, session=self, room=self._unsent)
        family, certificate = about("socket").family, about("peercert")
        self.visitor = Visitor(self._gate, self.terms, self.remote, family, certificate, caller)
        if self.visitor.denied:
            self._refuse("connections of denied peers")
            self._transport.abort()
            return
        self.visitor.entered()
        self._turned_away = self._crowd.enter(self, self.terms.limits)
        if self._turned_away:
            self._refuse("too many connections")  # the client learns why once it has sent something
            self._timer = self._loop.call_later(limits.LINGER_S, self._transport.abort)
        else:
            self._check_idle()

    def data_received(self, data: bytes) -> None:
        """Take the bytes, and make sure that the commands in them are answered."""
        if self._ending:
            self._thrown_away += len(data)
            if self._thrown_away > limits.THROWN_AWAY_MAX:
                self._transport.abort()
            return
        if self._turned_away:
            self._transport.write(frames.encode_text(self._turned_away))
            self._hang_up()
            return
        if not self._decoder.pending:
            # A frame may take the idle time to arrive whole, counted from its first byte.
            self._last_active = self._loop.time()
            if self.task is None and (answer := self._at_hand(data)) is not None:
                self._transport.write(answer)
                return
        self._decoder.push(data)
        self._unread.become(self._decoder.pending)
        if self.task is None:
            self._task = self._loop.create_task(self._answer_all(), name="control connection")
            self._task.add_done_callback(self._stopped)
        elif self._decoder.pending > limits.READ_AHEAD_BYTES or self._unread.is_over:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more: answer its commands, then close. The waiting of a stream ends at once."""
        self._ending = True
        if self.task is not None and self._streaming:
            self.task.cancel()
        return self.task is not None

    def connection_lost(self, _exc: Exception | None) -> None:
        """The connection is lost, and the waiting for answers ends."""
        self._crowd.leave(self)
        self._lost(self)
        self._unread.become(0)
        self._unsent.become(0)
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
        self._unsent.become(self._transport.get_write_buffer_size())

    # Called by the crowd.

    def idle_s(self) -> float:
        """The seconds for which nothing has happened; 0 while a command is under way, or a transaction would be
        lost."""
        unsent = self._out or self._transport.get_write_buffer_size()
        if self.task is not None or self._decoder.pending or unsent or self._keeps(self):
            return 0.0
        return self._loop.time() - self._last_active

    def drop(self) -> None:
        """Close at once, in favour of another connection."""
        self._transport.abort()

    # Called by the server.

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that answers commands now; None if no command is being answered."""
        return None if self._task is None or self._task.done() else self._task

    def terms_changed(self) -> None:
        """The listener has new limits, which hold from now on."""
        self._decoder.limit = self.terms.limits.max_command_bytes
        self.visitor.limit()
        if not self._ending and not self._turned_away:
            if self._timer is not None:
                self._timer.cancel()
            self._check_idle()

    def finish(self) -> None:
        """Take no more commands, and close after the present ones are answered."""
        self._ending = True
        if self.task is None:
            self._transport.close()

    def abort(self) -> asyncio.Task[None] | None:
        """Close at once; answers the task to wait for, if one runs."""
        if (task := self.task) is not None:
            task.cancel()
        self._transport.abort()
        return task

    def _stopped(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._transport.abort()
        elif (error := task.exception()) is not None:
            log.error("control connection failed", exc_info=error)
            self._transport.abort()

    def _at_hand(self, data: bytes) -> bytes | None:
        """The immediate answer to `data`, if that is a single command that needs no I/O, as monitoring sends it; None
        if the answer needs a task."""
        payload = frames.only_frame(data)
        if payload is None or len(payload) > self._decoder.limit or self.visitor.barred:
            return None
        if not self._writable.is_set() or not self.visitor.is_identified:
            return None
        answer = self._gate.answer_at_hand(payload.decode(errors="replace"), self.visitor.caller)
        return None if answer is None else frames.encode_text(answer)

    async def _answer_all(self) -> None:
        try:
            while await self._answer_frames():
                # More may have arrived while the client took its time to read.
                await self._drain()
            self._check_unread()
        except FrameError as error:
            self._refuse("broken or oversized frames")
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
            self._unread.become(self._decoder.pending)
            if self._out and not self._flushing:
                # An answer waits for answers that are ready at the same time, but not for a slow one.
                self._flushing = True
                self._loop.call_soon(self._flush)
            # `_out` may be sent and replaced before the answer is ready.
            answer = await self._answer(frame)
            self._out += answer
            self._last_active = self._loop.time()
            answered += 1
            if answered % limits.TURN == 0 or len(self._out) >= limits.COALESCE_BYTES:
                await self._drain()
                await asyncio.sleep(0)
        return answered

    def _flush(self) -> None:
        self._flushing = False
        if self._out:
            data, self._out = self._out, bytearray()
            self._transport.write(data)
            self._unsent.become(self._transport.get_write_buffer_size())

    def _check_unread(self) -> None:
        """Raises FrameError if the clients hold too much of unfinished commands in this process."""
        if self._decoder.pending and self._unread.is_over:
            raise FrameError(
                f"Too many unfinished commands: {self._unread.bounds}; send each whole before the next one begins"
            )

    def _refuse(self, reason: str) -> None:
        caller = self.visitor.caller
        self._gate.refused.note(reason, listener=self.terms.listener, peer=self.remote.place, user=caller.user)

    async def _drain(self) -> None:
        """Send the output so far. A client that has taken hardly any of it within the idle time is dropped."""
        self._flush()
        left = self._transport.get_write_buffer_size()
        while not self._writable.is_set():
            try:
                async with asyncio.timeout(min(self.terms.limits.idle_timeout_s or limits.FRAME_S, limits.FRAME_S)):
                    await self._writable.wait()
            except TimeoutError:
                previous, left = left, self._transport.get_write_buffer_size()
                self._unsent.become(self._transport.get_write_buffer_size())
                if left > previous - limits.READ_BYTES_MIN:
                    self._refuse("clients that do not read their answers")
                    self._transport.abort()
                    return

    def _hang_up(self) -> None:
        """Close after an error, but not at once: a client that is still sending would then lose our answer."""
        if self._ending:
            self._transport.close()
            return
        self._ending = True
        self._crowd.turn_away(self)
        self._decoder.clear()
        self._unread.become(self._decoder.pending)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(limits.LINGER_S, self._transport.abort)

    async def _answer(self, frame: Frame) -> bytes:
        kind, payload = frame
        if not self.visitor.is_identified:
            await self.visitor.identify()
        if kind in (frames.SHORT, frames.LONG):
            try:
                line = payload.decode()
            except UnicodeDecodeError:
                return frames.encode_text("Command is not valid UTF-8")
            if barred := self._barred(line):
                return frames.encode_text(barred)
            if busy := await self._no_room():
                return frames.encode_text(busy)
            if (answer := self._gate.answer_at_hand(line, self.visitor.caller)) is None:
                answer = (await reply(self._gate, line, self.visitor.caller)).body
            return frames.encode_text(answer)
        if kind == frames.REQUEST:
            return await self._request(payload)
        if kind == frames.AUTH:
            return await self._sign_in(payload)
        raise FrameError(f"Unknown frame type {kind}")

    async def _sign_in(self, payload: bytes) -> bytes:
        """Take a step of the caller's sign-in. A failure is answered late, and the third one ends the connection."""
        signing = self.visitor.sign_in(payload)
        answer = frames.encode(frames.AUTH, signing.payload)
        if signing.succeeded is False:
            self._refuse("failed sign-ins")
            await self._crowd.penalties.serve(self.remote.key)
            if signing.over:
                self._out += answer
                await self._drain()
                self._hang_up()
                return b""
        return answer

    def _barred(self, line: str) -> Barred | None:
        """The refusal of `line`, because the caller has to sign in first; None if it need not."""
        if barred := self.visitor.barred:
            self._refuse("commands before signing in")
            self._gate.note_refused(line, self.visitor.caller)
        return barred

    async def _no_room(self) -> str:
        """Wait for room for a command's answer; answers "", or the refusal if there is no room."""
        if await self._unsent.room(ROOM_S):
            return ""
        self._refuse("commands while too many answers are unread")
        return f"Too many answers wait to be read: {self._unsent.bounds}; read them first"

    async def _request(self, payload: bytes) -> bytes:
        if len(payload) > REQUEST_BYTES_MAX:
            fault = f"Not a request: Command too long ({len(payload)} bytes of JSON, limit {REQUEST_BYTES_MAX})"
            return result_frame(None, Reply(Answer(fault, Status.ERROR), fault))
        try:
            request = ConsoleRequest.parse(payload)
        except BadRequest as error:
            fault = f"Not a request: {error}"
            return result_frame(error.id, Reply(Answer(fault, Status.ERROR, usage=True), fault))
        if barred := self._barred(request.command):
            return result_frame(request.id, Reply(Answer(barred, Status.DENIED), barred))
        if busy := await self._no_room():
            return result_frame(request.id, Reply(Answer(busy, Status.ERROR), busy))
        if not request.stream:
            return result_frame(request.id, await reply(self._gate, request.command, self.visitor.caller, request.form))

        async def emit(event: Event) -> None:
            self._out += chunk_frame(request.id, event)
            if len(self._out) >= limits.COALESCE_BYTES or not self._writable.is_set():
                # An endless stream waits for a client that reads slowly.
                await self._drain()
            elif not self._flushing:
                # Events of one step are sent together.
                self._flushing = True
                self._loop.call_soon(self._flush)

        caller = request.caller(self.visitor.caller, emit)
        self._streaming = True
        try:
            answered = await reply(self._gate, request.command, caller, request.form)
        finally:
            self._streaming = False
        return result_frame(request.id, request.rest_of(answered))

    def _check_idle(self) -> None:
        """Close the connection if it was idle for too long, else look again later."""
        idle_s = self.terms.limits.idle_timeout_s
        often = timeout = idle_s or limits.FRAME_S
        keeps = False
        if self._decoder.pending:
            # A frame may take the idle time to arrive whole and no longer, even if the connection is kept.
            timeout = min(timeout, limits.FRAME_S)
        elif idle_s == 0:
            timeout = math.inf
        elif keeps := self._keeps(self):
            timeout = max(timeout, limits.KEPT_S)
        quiet = 0.0 if self.task is not None else self._loop.time() - self._last_active
        left = self.visitor.sign_in_s
        if quiet >= timeout or left <= 0:
            said = log.warning if keeps else log.debug
            user = self.visitor.caller.user
            said("connection closed", reason="idle", user=user, transaction="lost" if keeps else "none")
            self.visitor.timed_out()
            # This is not close(), which would wait for ever for a client that does not read the end of its last answer.
            self._transport.abort()
        else:
            # The reason to keep the connection may end at any time.
            self._timer = self._loop.call_later(min(timeout - quiet, often, left), self._check_idle)
