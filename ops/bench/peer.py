"""The same round with NATS: one request to 20 subscriber processes, and 20 replies.

It needs `nats-server` on PATH and the Python package nats-py, and says so if one is missing. As a program this module
is one subscriber: `python -m ops.bench.peer URL NAME`.
"""

import asyncio
import importlib.util
import shutil
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from ops.bench import gather
from ops.bench.fleet import fleet
from ops.bench.table import Row, ratio

_SUBJECT = "fleet"
_WARM = 10


def measure() -> dict[str, Any]:
    """The figures: medians in ms of the peer and of our gather; `missing` if the peer is not installed."""
    server = shutil.which("nats-server")
    if server is None or importlib.util.find_spec("nats") is None:
        return {"missing": "nats-server" if server is None else "nats-py (pip install nats-py)"}
    return {"nats_ms": round(_nats(server), 2), "gather_ms": round(gather.gathers(), 2)}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    name = f"gather, {gather.NODES} processes"
    if "missing" in figures:
        return [Row(name, "", f"NATS: {figures['missing']} is not installed", "1 x")]
    return [ratio(name, figures["gather_ms"], figures["nats_ms"], "ms", 1, "NATS")]


def _nats(server: str) -> float:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with fleet() as running:
        url = f"nats://127.0.0.1:{port}"
        process = subprocess.Popen(
            [server, "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        running.running.append(process)
        (running.folder / "log-0").write_text("event=ready")
        _wait_open(port)
        for number in range(gather.NODES):
            running.spawn(sys.executable, "-m", "ops.bench.peer", url, f"node{number}")
        running.wait_ready()
        return statistics.median(asyncio.run(_rounds(url))[_WARM:]) * 1000


def _wait_open(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("nats-server does not listen")


async def _rounds(url: str) -> list[float]:
    import nats

    client = await nats.connect(url)
    replies: asyncio.Queue[bytes] = asyncio.Queue()

    async def heard(message: Any) -> None:
        replies.put_nowait(message.data)

    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=heard)
    seconds = []
    for _ in range(gather.ROUNDS + _WARM):
        started = time.perf_counter()
        await client.publish(_SUBJECT, b"nodename", reply=inbox)
        for _ in range(gather.NODES):
            await replies.get()
        seconds.append(time.perf_counter() - started)
    await client.close()
    return seconds


async def _subscriber(url: str, name: str) -> None:
    import nats

    client = await nats.connect(url)

    async def answer(message: Any) -> None:
        await message.respond(name.encode())

    await client.subscribe(_SUBJECT, cb=answer)
    await client.flush()
    print("event=ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_subscriber(sys.argv[1], sys.argv[2]))
