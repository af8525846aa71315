"""The pages of a manager at 10,000 simulated nodes: a scrape, the pages, 100 readers of events, and a gather beside
them."""

import asyncio
import contextlib
import re
import statistics
import time
import urllib.request
from collections.abc import AsyncIterator

import psutil

from ops.bench.fleet import Client, Fleet, fleet
from ops.bench.swarm import UNCLAIMED, start_swarm
from ops.bench.table import Row, ratio

NODES = 10_000
READERS = 100
_ROUNDS = 5
_TURNS = 4
_WATCHED_S = 10.0
_SETTLE_S = 5.0


def measure() -> dict[str, float]:
    """The figures: medians in ms, shares of a core, sizes in lines and kB."""
    with fleet() as running:
        manager = running.daemon("eccmgr", "manager", "--http", "127.0.0.1:0")
        start_swarm(running, NODES)
        running.wait_ready()
        url = _url(running)
        _get(f"{url}metrics")
        time.sleep(_SETTLE_S)
        process = psutil.Process(manager.pid)
        figures: dict[str, float] = {"nodes": NODES, "readers": READERS}
        figures["scrape_ms"], text = _timed(f"{url}metrics")
        figures["scrape_lines"] = text.count(b"\n")
        # Each time with another filter, or a page that was rendered a moment ago would be shown again.
        figures["nodes_page_ms"], text = _timed(f"{url}nodes?q=!")
        figures["nodes_page_kb"] = round(len(text) / 1000)
        figures["overview_ms"], text = _timed(f"{url}?q=!")
        figures["overview_kb"] = round(len(text) / 1000)
        figures["idle_core"] = _share(process)
        figures["readers_core"] = asyncio.run(_share_beside(url, process))
        alone: list[float] = []
        beside: list[float] = []
        # In turns, so that a machine which is busy for a while is busy for both.
        for _ in range(_TURNS):
            alone += _gathers(running)
            beside += asyncio.run(_gathers_beside(running, url))
        figures["alone_ms"], figures["beside_ms"] = (
            round(statistics.median(each) * 1000, 1) for each in (alone, beside)
        )
        return figures


def rows(figures: dict[str, float]) -> list[Row]:
    """The rows of the printed table."""
    nodes, readers = f"{figures['nodes']:,.0f} nodes", f"{figures['readers']:.0f} readers of events"
    return [
        Row(f"a scrape, {nodes}", f"{figures['scrape_ms']} ms", f"{figures['scrape_lines']:.0f} lines", "20 ms, 1,500"),
        Row(f"/nodes, {nodes}", f"{figures['nodes_page_ms']} ms", f"{figures['nodes_page_kb']:.0f} kB"),
        Row(f"/, {nodes}", f"{figures['overview_ms']} ms", f"{figures['overview_kb']:.0f} kB"),
        Row(f"manager with {readers}", f"{figures['readers_core']} core", f"without {figures['idle_core']} core"),
        ratio(f"gather beside {readers}", figures["beside_ms"], figures["alone_ms"], "ms", 1.1, "without"),
    ]


def _url(running: Fleet) -> str:
    found = re.search(r"url=(\S+)", (running.folder / "log-0").read_text())
    if found is None:
        raise RuntimeError("the manager serves no pages")
    return found[1]


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return bytes(answer.read())


def _timed(url: str) -> tuple[float, bytes]:
    seconds, text = [], b""
    for number in range(_ROUNDS):
        started = time.perf_counter()
        text = _get(f"{url}{number}" if url.endswith("!") else url)
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds) * 1000, 1), text


def _gathers(running: Fleet) -> list[float]:
    client, seconds = Client(running.folder / "manager"), []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        client.ask(f"gather {UNCLAIMED}")
        seconds.append(time.perf_counter() - started)
    client.close()
    return seconds


def _share(process: psutil.Process) -> float:
    before = sum(process.cpu_times()[:2])
    time.sleep(_WATCHED_S)
    return round((sum(process.cpu_times()[:2]) - before) / _WATCHED_S, 3)


async def _share_beside(url: str, process: psutil.Process) -> float:
    """The manager's share of a core at rest while readers follow the events."""
    async with _readers(url):
        return await asyncio.to_thread(_share, process)


async def _gathers_beside(running: Fleet, url: str) -> list[float]:
    """The times of gathers while readers follow the events."""
    async with _readers(url):
        return await asyncio.to_thread(_gathers, running)


@contextlib.asynccontextmanager
async def _readers(url: str) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(READERS):
            await stack.enter_async_context(_reader(url))
        await asyncio.sleep(_SETTLE_S)
        yield


@contextlib.asynccontextmanager
async def _reader(url: str) -> AsyncIterator[None]:
    host, port = url.split("/")[2].rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /events?brief=1 HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    reading = asyncio.create_task(_drain(reader))
    try:
        yield
    finally:
        reading.cancel()
        writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass
