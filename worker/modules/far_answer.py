"""Receives one answer of the original control protocol, in little more memory than the answer itself takes."""

import asyncio
import codecs
import socket

from eccmgr.control import frames

_PIECE = 256 * 1024


class AnswerRefused(Exception):
    """Raised for an answer of which only the header was read. The message describes the answer."""


async def receive_answer(connection: socket.socket, longest: int) -> str:
    """The text of the next frame, at most `longest` bytes. Raises AnswerRefused, OSError."""
    kind = await _number(connection, 2)
    if kind not in (frames.SHORT, frames.LONG):
        raise AnswerRefused(f"answered with an unknown frame type {kind}")
    length = await _number(connection, 2 if kind == frames.SHORT else 4)
    if length > longest:
        raise AnswerRefused(f"gave an answer that has {length} bytes, more than answer_limit allows ({longest})")
    return await _text(connection, length)


async def _text(connection: socket.socket, length: int) -> str:
    """Decode each piece as it comes. Decoded in one go, a long answer would stop the loop and be in memory several
    times.

    U+FFFD replaces bytes that are not UTF-8. In a long answer `?` replaces them, because one wide character doubles the
    size of the whole text in memory.
    """
    stand_in = "\ufffd" if length <= frames.SHORT_MAX else "?"
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = ""
    while length:
        piece = await _some(connection, min(length, _PIECE))
        length -= len(piece)
        # The text grows in place, because a local variable is the only reference to it.
        text += decoder.decode(piece, not length).replace("\ufffd", stand_in)
        # The next piece may be there already. Other tasks have their turn first.
        await asyncio.sleep(0)
    return text


async def _number(connection: socket.socket, size: int) -> int:
    data = b""
    while len(data) < size:
        data += await _some(connection, size - len(data))
    return int.from_bytes(data)


async def _some(connection: socket.socket, most: int) -> bytes:
    data = await asyncio.get_running_loop().sock_recv(connection, most)
    if not data:
        raise ConnectionResetError("it was closed by the other side")
    return data
