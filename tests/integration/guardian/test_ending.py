"""The guardian itself ends a session in Redis, once all addresses are silent."""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.integration.guardian.conftest import ANYTHING, Guardian, Host
from tests.servers import Server as RedisServer
from tests.waiting import wait_until_sync
from worker.guardian import wire
from worker.guardian.charter import Server
from worker.guardian.ending import EndingFailed, Way
from worker.guardian.rights import GUARDIAN_UID

V4 = "10.1.1.1"
SCRIPT = "return redis.call('set', KEYS[1], ARGV[1], 'EX', 60)"


@pytest.fixture
def local(folder: Path, redis_server: EmbeddedServer) -> Iterator[Guardian]:
    """A guardian that plumbs in memory, in the machine's own namespace."""
    with serving(folder, Server(path=str(redis_server.socket))) as made:
        yield made


@contextlib.contextmanager
def serving(folder: Path, server: Server) -> Iterator[Guardian]:
    """A guardian that plumbs in memory, and ends sessions on the test's server."""
    made = Guardian("", folder, charter=replace(ANYTHING, server=server))
    made.say(wire.Configure((wire.Address(V4, 32, "eth1"),), plumber="memory"))
    assert made.hear(wire.Ready).fence == "none"
    try:
        yield made
    finally:
        made.close()


def end(server: Server, ending: wire.Ending, *arguments: str) -> None:
    with contextlib.closing(Way(server)) as way:
        way.end_session(server, ending, arguments)


@contextlib.contextmanager
def running(server: RedisServer) -> Iterator[RedisServer]:
    try:
        yield server.start()
    finally:
        server.stop()


def test_lost_agent_unplumbs_all_and_ends_the_session(
    host: Host, redis_server: EmbeddedServer, cluster_keys: Keys
) -> None:
    guardian = host.guardian(charter=replace(ANYTHING, server=Server(path=str(redis_server.socket))))
    key = f"{cluster_keys.tag}ended"
    guardian.say(wire.Configure((wire.Address(V4, 32, "eth1"),)))
    guardian.say(wire.Ending(SCRIPT, (key,)))
    guardian.hold(60, wire.Grant(V4, 1))
    guardian.close()
    assert not host.has(V4)
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        assert client.get(key) == b"s1"
    assert guardian.process.returncode == 0


def test_deadline_ends_the_session_but_not_the_guardian(
    local: Guardian, redis_server: EmbeddedServer, cluster_keys: Keys
) -> None:
    key = f"{cluster_keys.tag}ended"
    local.say(wire.Ending(SCRIPT, (key,)))
    local.hold(0.5, wire.Grant(V4, 1))
    assert local.hear(wire.Down).session == "s1"
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        wait_until_sync(lambda: client.get(key) == b"s1", "the session is ended")
    local.hold(60, wire.Grant(V4, 2), session="s2")


def test_silent_redis_delays_no_later_session(folder: Path) -> None:
    with running(RedisServer(folder / "server")) as server, serving(folder, Server("127.0.0.1", server.port)) as local:
        server.send(signal.SIGSTOP)
        local.say(wire.Ending(SCRIPT, ("k",)))
        local.hold(0.5, wire.Grant(V4, 1))
        local.hear(wire.Down)
        local.hold(60, wire.Grant(V4, 2), session="s2")
        server.send(signal.SIGCONT)


def test_user_password_and_database_are_given(folder: Path) -> None:
    with running(RedisServer(folder / "server", "user default off", "user vip on >secret ~* +@all")) as server:
        named = Server("127.0.0.1", server.port, username="vip", password="secret", db=3)
        end(named, wire.Ending(SCRIPT, ("k",)), "s1")
        with redis.Redis(port=server.port, username="vip", password="secret", db=3) as client:
            assert client.get("k") == b"s1"
        wrong = Server("127.0.0.1", server.port, username="vip", password="other")
        with pytest.raises(EndingFailed, match="WRONGPASS"):
            end(wrong, wire.Ending(SCRIPT, ("k",)), "s1")


@pytest.mark.parametrize("answer", ["{1, {2, 'x'}, false}", "redis.status_reply('fine')", "'a\\r\\nb'"])
def test_whatever_the_script_answers_is_read(redis_server: EmbeddedServer, answer: str) -> None:
    end(Server(path=str(redis_server.socket)), wire.Ending(f"return {answer}", ()))


def test_what_redis_refuses_is_said(redis_server: EmbeddedServer) -> None:
    ending = wire.Ending("return redis.error_reply('NO not so')", ())
    with pytest.raises(EndingFailed, match="not so"):
        end(Server(path=str(redis_server.socket)), ending)


def test_guardian_keeps_its_network_capabilities_only(local: Guardian) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to lose")
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{local.process.pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    network = (1 << 12) | (1 << 13)
    assert int(status["CapEff"], 16) & ~network == 0
    assert int(status["CapPrm"], 16) & ~network == 0
    assert int(status["CapBnd"], 16) & ~network == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == status["Gid"].split() == 4 * [str(GUARDIAN_UID)]
    assert status["Groups"].split() == []


@pytest.mark.parametrize(
    "line", [b"nonsense\n", wire.encode(wire.Kept("s1", 1.0)), wire.encode(wire.Deadline("s", 1.0))]
)
def test_an_agent_that_speaks_nonsense_loses_its_guardian(folder: Path, line: bytes) -> None:
    guardian = Guardian("", folder)
    guardian.socket.sendall(line)
    assert guardian.process.wait(10) == 0
    guardian.close()
