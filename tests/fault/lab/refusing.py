"""A program that stands in for Redis: it refuses every command, with the reason.

    python -m tests.fault.lab.refusing PORT WORD

Waits until the port is free. WORD is a `Veto`.
"""

import asyncio
import contextlib
import sys

from tests.fault.frames import Cutter, word
from tests.fault.vetoes import ENDS_CONNECTIONS, SAID, Veto, said_to

_HELLO = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
_AGAIN_S = 0.002


async def main(port: int, veto: Veto) -> None:
    """Answer until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await _answer(veto, reader, writer)
        writer.transport.abort()

    print("waits", flush=True)
    while True:
        try:
            server = await asyncio.start_server(serve, "0.0.0.0", port)
        except OSError:
            await asyncio.sleep(_AGAIN_S)
            continue
        await server.serve_forever()


async def _answer(veto: Veto, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if veto is Veto.DENIED:
        writer.write(SAID[veto])
        await writer.drain()
        return
    commands = Cutter()
    while data := await reader.read(65536):
        for frame in commands.feed(data):
            command = word(frame)
            done = {b"HELLO": _HELLO, b"PING": b"+PONG\r\n"}.get(command, b"+OK\r\n")
            refused = said_to(veto, command)
            # Redis would execute commands without keys; the stand-in cannot.
            carried = not refused and command in (b"HELLO", b"PING", b"CLIENT", b"SELECT", b"AUTH")
            writer.write(done if carried else refused or SAID[veto])
            await writer.drain()
            if veto in ENDS_CONNECTIONS:
                return


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Veto(sys.argv[2])))
