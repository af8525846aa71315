"""Fixtures for all tests: a real server for each worker, a cluster for each test, and checks for leftovers."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest
import pytest_asyncio
import redis
import structlog
from blockbuster import BlockBuster, blockbuster_ctx
from structlog.testing import LogCapture

from eccmgr.modules.catalogue import installed
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import load_all
from eccmgr.version import full_version
from tests.logged import Logged, LogOf

# As in the programs: read the files that are read only once before any event loop runs.
full_version()
load_all()
installed()
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
# A shell lets what it runs in the background ignore Ctrl-C, and nohup a hangup; every program that a test starts would
# inherit that.
for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)
# No test may fail because the machine is busy.
hypothesis.settings.register_profile("timeless", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("timeless")


@contextlib.contextmanager
def make_folder() -> Iterator[Path]:
    """A temporary folder whose path is short enough for sockets."""
    made = Path(tempfile.mkdtemp(prefix="ecc-"))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder for this test."""
    with make_folder() as made:
        yield made


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedServer]:
    """A real server, one for each test worker."""
    with make_folder() as made, EmbeddedServer(made) as running:
        yield running


@pytest.fixture
def keys() -> Keys:
    """The names of a cluster of this test's own."""
    return Keys(f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def cluster_keys(redis_server: EmbeddedServer, keys: Keys) -> Iterator[Keys]:
    """`keys` on the real server. After the test, no key without a lifetime may be left."""
    yield keys
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        left = list(client.scan_iter(match=keys.tag.replace("[", "\\[") + "*", count=1000))
        # RQ's keys get their lifetime with each sign of life of a worker; schedules stay until they have run.
        meant = (b"}:rq:", b"}:sched:")
        immortal = [key.decode() for key in left if client.ttl(key) == -1 and not any(each in key for each in meant)]
        if left:
            client.unlink(*left)
    assert not immortal, f"keys without a lifetime: {immortal}"


@pytest_asyncio.fixture
async def link(redis_server: EmbeddedServer) -> AsyncIterator[Link]:
    """A connection to the real server."""
    made = Link(redis_server.url)
    yield made
    await made.close()


@pytest.fixture
def nothing_left(redis_server: EmbeddedServer) -> Iterator[None]:
    """Fails a test that leaves child processes or descriptors behind."""
    me = psutil.Process()
    before = {child.pid for child in me.children(recursive=True)}
    descriptors = _descriptors()
    yield
    left = [child for child in me.children(recursive=True) if child.pid not in before]
    assert not left, f"processes left: {left}"
    open_still = _descriptors() - descriptors
    assert not open_still, f"descriptors left open: {open_still}"


def _descriptors() -> set[tuple[str, str]]:
    """The open sockets and files of this process, without those of the event loop, which outlives a test."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add((entry.name, os.readlink(entry.path)))
    return {each for each in found if not each[1].startswith(("/proc", "anon_inode"))}


@pytest_asyncio.fixture
async def no_tasks_left() -> AsyncIterator[None]:
    """Fails a test that leaves tasks behind."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before - {asyncio.current_task()} if not task.done()}
    assert not left, f"tasks left: {left}"


@pytest.fixture
def no_blocking() -> Iterator[BlockBuster]:
    """Fails a test in which our code blocks the event loop."""
    with blockbuster_ctx(["eccmgr", "worker"]) as guard:
        yield guard


@pytest.fixture
def log_of(monkeypatch: pytest.MonkeyPatch) -> LogOf:
    def kept(module: str) -> Logged:
        capture = LogCapture()
        monkeypatch.setattr(f"{module}.log", structlog.wrap_logger(None, [capture], structlog.BoundLogger))
        return capture.entries

    return kept


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any ECCMGR_* variable of the caller's."""
    for name in list(os.environ):
        if name.startswith(("ECCMGR_", "EC_")):
            monkeypatch.delenv(name)
    return monkeypatch
