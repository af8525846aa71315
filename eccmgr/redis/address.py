"""Where Redis is: its URL read, and shown again without its password."""

import enum
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from eccmgr.errors import SettingsError

_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///PATH, "
    "redis+sentinel://HOST:PORT,…/SERVICE/DB or redis+cluster://HOST:PORT,…"
)
_PORT = 6379
_SENTINEL_PORT = 26379


class Mode(enum.StrEnum):
    """How Redis is deployed."""

    STANDALONE = "standalone"
    """One server at an address of its own."""
    SENTINEL = "sentinel"
    """A master with replicas; the sentinels know which one it is."""
    CLUSTER = "cluster"
    """Several masters, of which one owns the slot of our keys."""


@dataclass(frozen=True)
class RedisAddress:
    """Where Redis is, as it may be shown: without its password.

    Under Sentinel `hosts` are the sentinels; of a Redis Cluster they are some of its nodes.
    """

    url: str = field(repr=False)
    host: str
    port: int
    path: str = ""
    mode: Mode = Mode.STANDALONE
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    plain_url: str = field(default="", repr=False)
    """What the client library takes: the address of one server, with the user, password and options for each."""
    sentinel_urls: tuple[str, ...] = field(default=(), repr=False)
    """The same for each of the sentinels, with their own user and password, where the URL has them."""

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """Read a URL of any of the forms that there are. Raises SettingsError."""
        try:
            return cls._parse(url)
        except ValueError:
            # What is wrong may be a piece of the password: it is not repeated.
            raise SettingsError(
                "The URL of Redis makes no sense: its port is no number from 0 to 65535, or its host is broken; "
                "special characters in a password must be percent-encoded"
            ) from None

    @classmethod
    def _parse(cls, url: str) -> "RedisAddress":
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path:
            return cls(url, "127.0.0.1", 0, unquote(parts.path), plain_url=url)
        if parts.scheme in ("redis", "rediss") and parts.hostname:
            return cls(url, parts.hostname, parts.port or _PORT, plain_url=url)
        base, _, kind = parts.scheme.partition("+")
        if base not in ("redis", "rediss") or kind not in (Mode.SENTINEL, Mode.CLUSTER):
            raise SettingsError(f"The URL of Redis must be {_FORMS}")
        login, at, hosts_text = parts.netloc.rpartition("@")
        hosts = _hosts(hosts_text, _SENTINEL_PORT if kind == Mode.SENTINEL else _PORT)
        service, _, db = parts.path.strip("/").partition("/")
        if kind == Mode.CLUSTER:
            service, db = "", service
            if db not in ("", "0"):
                raise SettingsError("The URL of Redis names a database, and a Redis Cluster has only 0")
        elif not service:
            raise SettingsError("The URL of Redis lacks the service: redis+sentinel://HOST:PORT,…/SERVICE/DB")
        if db and not db.isdecimal():
            raise SettingsError("The URL of Redis names a database that is no number")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        user, password = (quote(options.pop(f"sentinel_{name}", ""), safe="") for name in ("username", "password"))
        tls = urlencode({name: value for name, value in options.items() if name.startswith("ssl_")})
        sentinels = tuple(f"{base}://{user}:{password}@{host_port(*each)}?{tls}" for each in hosts)
        plain = f"{base}://{login}{at}{host_port(*hosts[0])}/{db or 0}?{urlencode(options)}"
        return cls(url, *hosts[0], "", Mode(kind), hosts, unquote(service), plain, sentinels)

    def sentinels(self) -> "list[RedisAddress]":
        """Each sentinel as a server of its own."""
        return [RedisAddress.parse(url) for url in self.sentinel_urls]

    def node(self, host: str, port: int) -> "RedisAddress":
        """One node of a Redis Cluster as a server of its own."""
        parts = urlsplit(self.plain_url)
        login, at, _ = parts.netloc.rpartition("@")
        return RedisAddress.parse(parts._replace(netloc=f"{login}{at}{host_port(host, port)}").geturl())

    def __str__(self) -> str:
        if self.path:
            return self.path
        hosts = ",".join(host_port(*each) for each in self.hosts or ((self.host, self.port),))
        return f"{self.service} at {hosts}" if self.service else hosts


def host_port(host: str, port: int) -> str:
    """As people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _hosts(text: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for each in text.split(","):
        parts = urlsplit(f"//{each}")
        if not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError("no host")
        hosts.append((parts.hostname, parts.port or default_port))
    return tuple(hosts)
