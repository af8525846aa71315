"""The way to Redis: its address, and the messages when it does not answer, which never hold a password."""

import asyncio
import re
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from eccmgr.cluster.calls.views import roster
from eccmgr.cluster.options import ClusterOptions
from eccmgr.errors import EccmgrError, RedisUnreachable, SettingsError
from eccmgr.redis.address import Mode, RedisAddress, ServerAccess
from eccmgr.redis.client import make_pool
from eccmgr.redis.connect import Link
from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.servers import free_port

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://example.com", "example.com:6379"),
        ("redis://example.com:7000/3", "example.com:7000"),
        ("rediss://u:hunter2@example.com:7000", "example.com:7000"),
        ("redis://[::1]:7000", "[::1]:7000"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://u:hunter2@/run/re%20dis.sock?db=1", "/run/re dis.sock"),
        ("redis+sentinel://u:hunter2@h1,h2:7000,[::1]/mail/2", "mail at h1:26379,h2:7000,[::1]:26379"),
        ("rediss+sentinel://h1/mail?sentinel_password=hunter2", "mail at h1:26379"),
        ("redis+cluster://u:hunter2@h1,h2:7000/", "h1:6379,h2:7000"),
        ("redis+cluster://[fe80::1%25eth0]:7,h2:7000,[::2]", "[fe80::1%eth0]:7,h2:7000,[::2]:6379"),
        ("REDIS://:hunter[2]@h1:7000/\n", "h1:7000"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    address = RedisAddress.parse(url)
    assert str(address) == shown
    assert SECRET not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com:6379", "http://example.com", "redis://", "redis:///0", "unix://", "redis://[::1"),
        *("redis://example.com:x", "redis://example.com:99999", "redis://u:hunter2@example.com:hunter2"),
        *("redis://:hunter2/x@example.com", "redis://:hunter2#x@example.com:1"),
        *("redis+sentinel://h1", "redis+sentinel://h1,/mail", "redis+sentinel://:hunter2@h1:hunter2/mail"),
        *("redis+sentinel://h1/mail/x", "redis+cluster://h1/1", "redis+nonsense://h1", "unix+cluster:///h1"),
        *("redis+sentinel://:hunter2@h1/mail?nonsense=1", "redis+cluster:///"),
        *("redis://:hunter2@example.com?db=x", "redis://:hunter2@example.com?nonsense=1"),
        *(
            "redis://h1:0",
            "redis://h1:",
            "redis://::1:7000",
            "redis://[::1]7000",
            "redis://[h1]:7000",
            "redis://h1/abc",
        ),
        *("redis://h1/1/2", "redis://h1/-1", "redis://h1/1?db=2", "redis+cluster://h1?db=1", "unix://tmp/redis.sock"),
        *("redis+sentinel://h1,[::1/mail", "redis+sentinel://h1:0/mail", "redis+sentinel://h1/mail/1/2"),
        *("redis://h1?port=7", "redis://h1/0?password=hunter2#x", "redis://h 1", "redis:h1"),
    ],
)
def test_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Link(url)
    assert str(caught.value).startswith("The URL of Redis ")
    assert SECRET not in "".join(traceback.format_exception(caught.value)).replace(f'Link("{url}")', "")


def test_users_of_data_and_sentinels_are_separate() -> None:
    url = "rediss+sentinel://a:b%40@h1,[::1]:7/mail/2?sentinel_username=c&sentinel_password=d%2F&ssl_cert_reqs=none"
    address = RedisAddress.parse(url)
    assert address.plain_url == "rediss://a:b%40@h1:26379/2?ssl_cert_reqs=none"
    assert [sentinel.plain_url for sentinel in address.sentinels()] == [
        "rediss://c:d%2F@h1:26379/0?ssl_cert_reqs=none",
        "rediss://c:d%2F@[::1]:7/0?ssl_cert_reqs=none",
    ]
    assert (address.service, address.mode) == ("mail", Mode.SENTINEL)


def test_what_is_wrong_with_an_address_is_named() -> None:
    wrong = {
        "redis://h1:0/0": "its port is not a number from 1 to 65535",
        "redis://h1:": "its port is not a number from 1 to 65535",
        "redis://::1:7": "it has more than one ':'; an IPv6 address is written [V6]:PORT",
        "redis+sentinel://h1,[::1/mail": "its brackets do not match; an IPv6 address is written [V6]:PORT",
        "redis+cluster://h1,[h2]:7": "the text in brackets is not an IPv6 address",
        "unix://tmp/s": "a socket's path begins with a third slash: unix:///PATH",
    }
    for url, reason in wrong.items():
        with pytest.raises(SettingsError) as caught:
            RedisAddress.parse(url)
        assert f"The URL of Redis makes no sense: {reason} (" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://u:p%40[@h1/3", ("h1", 6379, 3, "u", "p@[")),
        ("redis://[fe80::1%25eth0]:7?db=4", ("fe80::1%eth0", 7, 4, None, None)),
        ("redis+sentinel://:p@h1,[::1]:7/mail/2", ("::9", 8, 2, None, "p")),
        ("redis+cluster://u@h1,[::1]:7", ("::9", 8, 0, "u", None)),
    ],
)
def test_the_library_is_given_what_the_address_says(url: str, expected: tuple[object, ...]) -> None:
    address = RedisAddress.parse(url)
    if address.hosts:
        address = address.node("::9", 8)
    options = make_pool(address, 1.0).connection_kwargs
    assert tuple(options.get(name) for name in ("host", "port", "db", "username", "password")) == expected
    assert (address.host, address.port) == expected[:2]


@pytest_asyncio.fixture
async def nowhere(folder: Path) -> AsyncIterator[Link]:
    """A link to a server that does not run."""
    made = Link(f"unix://u:{SECRET}@{folder}/none.sock")
    yield made
    await made.close()


@pytest.mark.asyncio
class TestAway:
    async def test_it_is_said_why_and_where(self, nowhere: Link, folder: Path) -> None:
        with pytest.raises(RedisUnreachable) as caught:
            await nowhere.run(roster(Keys("c"), ClusterOptions(), 1))
        assert str(caught.value) == f"Redis is not reachable: No such file or directory ({folder}/none.sock)"

    async def test_calls_never_sent_differ_from_uncertain_ones(self, nowhere: Link, folder: Path) -> None:
        for _ in range(2):
            with pytest.raises(RedisUnreachable) as caught:
                await nowhere.call("PING")
            assert not caught.value.asked
        with EmbeddedServer(folder) as server:
            link = Link(server.url)
            with pytest.raises(RedisUnreachable) as caught:
                await link.call("SHUTDOWN")
            assert caught.value.asked
            await link.close()

    async def test_unused_port_is_reported_in_plain_words(self) -> None:
        port = free_port()
        link = Link(f"redis://127.0.0.1:{port}")
        with pytest.raises(RedisUnreachable) as caught:
            await link.call("PING")
        assert str(caught.value) == f"Redis is not reachable: Connection refused (127.0.0.1:{port})"
        await link.close()

    async def test_calls_fail_at_once_until_a_probe_succeeds(self, nowhere: Link) -> None:
        for call in (nowhere.describe, lambda: nowhere.pipeline(("PING",))):
            with pytest.raises(RedisUnreachable):
                await call()
        assert nowhere.fault is not None
        assert SECRET not in nowhere.fault

    async def test_the_first_success_opens_the_way_again(self, folder: Path) -> None:
        server = EmbeddedServer(folder)
        link = Link(server.url)
        call = roster(Keys("c"), ClusterOptions(), 1000)
        try:
            with pytest.raises(RedisUnreachable):
                await link.pipeline(("PING",))
            await asyncio.to_thread(server.start)
            with pytest.raises(RedisUnreachable):
                await link.run(call)
            await link.run(call, probe=True)
            assert await link.pipeline(("PING",)) == [b"PONG"]
        finally:
            await link.close()
            await asyncio.to_thread(server.stop)

    async def test_a_refused_password_is_said_and_not_shown(self, folder: Path) -> None:
        server = EmbeddedServer(folder)
        link = Link(f"unix://:{SECRET}@{server.socket}")
        await asyncio.to_thread(server.start)
        try:
            assert await link.pipeline(("CONFIG", "SET", "requirepass", "another")) == [b"OK"]
            for url in (link.address.url, server.url):
                refused = Link(url)
                with pytest.raises(RedisUnreachable, match=r"it refused our user or password \(/") as caught:
                    await refused.pipeline(("PING",))
                await refused.close()
                assert SECRET not in str(caught.value)
        finally:
            await link.close()
            await asyncio.to_thread(server.stop)


@pytest.mark.asyncio
class TestThere:
    async def test_it_is_described_in_one_line(self, link: Link, redis_server: EmbeddedServer) -> None:
        line = await link.describe()
        assert f" standalone {redis_server.socket}, round trip " in line
        assert line.endswith(" ms")

    @pytest.mark.parametrize(
        ("allowed", "said"),
        [("+ping", r"^unknown version standalone /"), ("-ping", r"^Redis refused: .* 'ping' command")],
    )
    async def test_server_that_forbids_info_is_described_anyway(
        self, link: Link, redis_server: EmbeddedServer, keys: Keys, allowed: str, said: str
    ) -> None:
        user = keys.tag[5:-1]
        await link.call("ACL", "SETUSER", user, "on", f">{SECRET}", "-@all", "+hello", allowed)
        limited = Link(f"unix://{user}:{SECRET}@{redis_server.socket}")
        try:
            if allowed == "+ping":
                assert re.match(said, await limited.describe())
            else:
                with pytest.raises(EccmgrError, match=said):
                    await limited.describe()
        finally:
            await limited.close()
            await link.call("ACL", "DELUSER", user)

    async def test_cancelled_call_ends_its_task_at_any_moment(self, link: Link, cluster_keys: Keys) -> None:
        for call in (lambda: link.run(roster(cluster_keys, ClusterOptions(), 1)), link.describe):
            await call()
            for steps in range(20):
                task = asyncio.ensure_future(call())
                for _ in range(steps):
                    await asyncio.sleep(0)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task

    async def test_refusal_by_the_server_is_not_its_loss(self, link: Link) -> None:
        with pytest.raises(EccmgrError, match=r"^Redis refused: "):
            await link.pipeline(("NONSENSE",))
        assert link.fault is None


@pytest.mark.parametrize(
    ("url", "access"),
    [
        ("redis://:p%40ss@r1/3", ServerAccess(password="p@ss", db=3)),
        ("unix://me:pw@/run/redis?db=2", ServerAccess("me", "pw", 2)),
        (
            "rediss://r1?ssl_ca_certs=/ca&ssl_check_hostname=false&ssl_cert_reqs=none",
            ServerAccess(tls=True, ca_file="/ca", check_hostname=False, verify=False),
        ),
        ("redis+cluster://me:pw@r1,r2", ServerAccess("me", "pw")),
    ],
)
def test_an_address_says_how_its_server_is_reached(url: str, access: ServerAccess) -> None:
    assert RedisAddress.parse(url).access == access
