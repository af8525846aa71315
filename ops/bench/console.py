"""The time of `version` on one connection to a manager, against a plain asyncio server with answers of the same size.

As a program this module is that server: `python -m ops.bench.console SOCKET BYTES`.
"""

import asyncio
import socket
import statistics
import struct
import sys
import time
from pathlib import Path
from typing import Any

from ops.bench.fleet import fleet
from ops.bench.table import Row, ratio

ROUNDS = 60
COMMANDS = 300
DEPTH = 100
_HEAD = struct.Struct("!HH")
_COMMAND = _HEAD.pack(1, len(b"version")) + b"version"


def measure() -> dict[str, Any]:
    """The figures: medians in µs a command, one by one and 100 deep, and their ratios; the target is at most 2."""
    with fleet() as running:
        running.daemon("eccmgr", "manager")
        running.wait_ready()
        manager = Asking(running.folder / "manager")
        running.spawn(sys.executable, "-m", "ops.bench.console", str(running.folder / "echo"), str(manager.body))
        running.wait_ready(b"ready")
        echo = Asking(running.folder / "echo")
        rounds = [
            (manager.one_by_one(), echo.one_by_one(), manager.pipelined(), echo.pipelined()) for _ in range(ROUNDS + 5)
        ][5:]
        manager.close()
        echo.close()
    single, echo_single, deep, echo_deep = (statistics.median(column) * 1e6 for column in zip(*rounds, strict=True))
    return {
        "rounds": ROUNDS,
        "answer_bytes": manager.body,
        "version_us": round(single, 1),
        "echo_us": round(echo_single, 1),
        "version_to_echo": round(single / echo_single, 2),
        "depth": DEPTH,
        "pipelined_version_us": round(deep, 1),
        "pipelined_echo_us": round(echo_deep, 1),
        "pipelined_version_to_echo": round(deep / echo_deep, 2),
        "target": 2,
    }


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    target, deep = figures["target"], f"version, {figures['depth']} at once"
    return [
        ratio("version, one by one", figures["version_us"], figures["echo_us"], "µs", target, "an echo"),
        ratio(deep, figures["pipelined_version_us"], figures["pipelined_echo_us"], "µs", target, "an echo"),
    ]


class Asking:
    """A connection that asks for `version`; the same code asks both servers."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.sendall(_COMMAND)
        kind, self.body = _HEAD.unpack(self._socket.recv(_HEAD.size, socket.MSG_WAITALL))
        if kind != 1:
            raise RuntimeError(f"an answer of type {kind}")
        self._socket.recv(self.body, socket.MSG_WAITALL)
        self._answer = _HEAD.size + self.body

    def one_by_one(self) -> float:
        """The seconds of one command, if each is sent after the answer to the one before it."""
        return self._seconds(COMMANDS, 1)

    def pipelined(self) -> float:
        """The seconds of one command, if `DEPTH` are sent at once."""
        return self._seconds(COMMANDS // DEPTH, DEPTH)

    def _seconds(self, times: int, depth: int) -> float:
        commands, answers = _COMMAND * depth, self._answer * depth
        started = time.perf_counter()
        for _ in range(times):
            self._socket.sendall(commands)
            self._socket.recv(answers, socket.MSG_WAITALL)
        return (time.perf_counter() - started) / (times * depth)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


async def echo(path: str, size: int) -> None:
    """Answer each frame with one of `size` bytes, for ever."""
    answer = _HEAD.pack(1, size) + bytes(size)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                await reader.readexactly(length)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    print("event=ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(echo(sys.argv[1], int(sys.argv[2])))
