"""The address of Redis: reads its URL, and shows it without the password."""

import enum
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from eccmgr.errors import SettingsError
from eccmgr.text.hostport import host_port, read_host_port

_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB, unix:///PATH, "
    "redis+sentinel://HOST:PORT,…/SERVICE/DB or redis+cluster://HOST:PORT,…"
)
_PORT = 6379
_SENTINEL_PORT = 26379
# `urlsplit` would not do: in a list of hosts, releases of Python allow different things.
_URL = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)
_ELSEWHERE = ("host", "port", "path")
"""Options of the library that a URL states before its `?`."""


class Mode(enum.StrEnum):
    """The ways to deploy Redis."""

    STANDALONE = "standalone"
    """One server at an address of its own."""
    SENTINEL = "sentinel"
    """A master with replicas; the sentinels know which one it is."""
    CLUSTER = "cluster"
    """Several masters, of which one owns the slot of our keys."""


@dataclass(frozen=True)
class ServerAccess:
    """For a program without the client library: what it needs, beside the address, to reach one server."""

    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    check_hostname: bool = True
    verify: bool = True


@dataclass(frozen=True)
class RedisAddress:
    """The address of Redis, in a form that may be shown: without the password.

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
    """The URL for the client library: the address of one server, and the user, password and options for every
    server."""
    sentinel_urls: tuple[str, ...] = field(default=(), repr=False)
    """The URL of each sentinel for the client library, with the sentinels' own user and password if there are any."""

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """Read a URL of any of the allowed forms. Raises SettingsError."""
        try:
            return cls._parse(url)
        except ValueError as error:
            # The text of the fault may hold a piece of the password, so the message does not repeat it.
            raise SettingsError(
                f"The URL of Redis makes no sense: {error} (special characters in a password must be percent-encoded)"
            ) from None

    @classmethod
    def _parse(cls, url: str) -> "RedisAddress":
        if "#" in url:
            raise ValueError("it has a '#', which is written %23")
        matched = _URL.fullmatch(url.strip())
        if matched is None:
            raise SettingsError(f"The URL of Redis must be {_FORMS}")
        scheme, hosts_text, path = matched["scheme"].lower(), matched["hosts"], matched["path"] or ""
        login = _login(matched["login"])
        options = dict(parse_qsl(matched["query"] or "", keep_blank_values=True))
        if not options.keys().isdisjoint(_ELSEWHERE):
            raise ValueError(f"{', '.join(_ELSEWHERE)} are not options: they stand before the '?'")
        if scheme == "unix" and path.strip("/"):
            if hosts_text:
                raise ValueError("a socket's path begins with a third slash: unix:///PATH")
            path = unquote(path)
            return cls(url, "127.0.0.1", 0, path, plain_url=f"unix://{login}{quote(path)}{_query(options)}")
        base, _, kind = scheme.partition("+")
        if base not in ("redis", "rediss") or not hosts_text or (kind not in _LISTS and scheme != base):
            raise SettingsError(f"The URL of Redis must be {_FORMS}")
        path = path.removeprefix("/").removesuffix("/")
        if scheme == base:
            host, port = _read(hosts_text, _PORT)
            return cls(url, host, port, plain_url=_plain(base, login, host, port, _database(path, options), options))
        hosts = tuple(_read(text, _LISTS[kind]) for text in hosts_text.split(","))
        service, _, db_text = path.partition("/") if kind == Mode.SENTINEL else ("", "", path)
        db = _database(db_text, options)
        if kind == Mode.CLUSTER and db:
            raise SettingsError("The URL of Redis names a database, and a Redis Cluster has only 0")
        if kind == Mode.SENTINEL and not service:
            raise SettingsError("The URL of Redis lacks the service: redis+sentinel://HOST:PORT,…/SERVICE/DB")
        user, password = (quote(options.pop(f"sentinel_{name}", ""), safe="") for name in ("username", "password"))
        tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        sentinels = tuple(_plain(base, f"{user}:{password}@", *sentinel, 0, tls) for sentinel in hosts)
        plain = _plain(base, login, *hosts[0], db, options)
        return cls(url, *hosts[0], "", Mode(kind), hosts, unquote(service), plain, sentinels)

    def sentinels(self) -> "list[RedisAddress]":
        """Each sentinel as a server of its own."""
        return [RedisAddress.parse(url) for url in self.sentinel_urls]

    def node(self, host: str, port: int) -> "RedisAddress":
        """One node of a Redis Cluster, or the master under Sentinel, as a server of its own."""
        scheme, _, rest = self.plain_url.partition("://")
        server, slash, behind = rest.partition("/")
        login, at, _ = server.rpartition("@")
        url = f"{scheme}://{login}{at}{_netloc(host, port)}{slash}{behind}"
        return RedisAddress(url, host, port, plain_url=url)

    @property
    def access(self) -> ServerAccess:
        """The parts of `plain_url` other than the address of the server."""
        parts = urlsplit(self.plain_url)
        options = dict(parse_qsl(parts.query))
        database = options.get("db", "0") if self.path else parts.path.strip("/") or options.get("db", "0")
        return ServerAccess(
            unquote(parts.username or options.get("username", "")),
            unquote(parts.password or options.get("password", "")),
            int(database),
            parts.scheme == "rediss",
            options.get("ssl_ca_certs", ""),
            options.get("ssl_certfile", ""),
            options.get("ssl_keyfile", ""),
            options.get("ssl_check_hostname", "true").lower() != "false",
            options.get("ssl_cert_reqs", "required") != "none",
        )

    def __str__(self) -> str:
        if self.path:
            return self.path
        hosts = ",".join(host_port(*host) for host in self.hosts or ((self.host, self.port),))
        return f"{self.service} at {hosts}" if self.service else hosts


_LISTS = {Mode.SENTINEL.value: _SENTINEL_PORT, Mode.CLUSTER.value: _PORT}
"""The modes that have a list of hosts, and the default port of a host."""


def _login(text: str | None) -> str:
    """User and password, as the client library reads them: percent-encoded or not."""
    if text is None:
        return ""
    return ":".join(quote(unquote(part), safe="") for part in text.split(":", 1)) + "@"


def _read(text: str, default_port: int) -> tuple[str, int]:
    # The '%' before a zone may be encoded, as RFC 6874 demands.
    return read_host_port(text.replace("%25", "%"), default_port)


def _netloc(host: str, port: int) -> str:
    return host_port(host.replace("%", "%25"), port)


def _database(path: str, options: dict[str, str]) -> int:
    """The database in the path or in the option `db`; removes `db` from `options`."""
    named = [text for text in (path, options.pop("db", "")) if text]
    if not all(text.isascii() and text.isdecimal() for text in named):
        raise SettingsError("The URL of Redis names a database that is not a number")
    if len(set(map(int, named))) > 1:
        raise SettingsError("The URL of Redis names two databases")
    return int(named[0]) if named else 0


def _plain(base: str, login: str, host: str, port: int, db: int, options: dict[str, str]) -> str:
    return f"{base}://{login}{_netloc(host, port)}/{db}{_query(options)}"


def _query(options: dict[str, str]) -> str:
    return f"?{urlencode(options)}" if options else ""
