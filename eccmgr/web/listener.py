"""The part of a daemon that serves HTTP: it follows `Http_Listener`, and the flags that take its place."""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import socket
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from eccmgr.config.live.options import Tls
from eccmgr.config.live.parts import NOTHING, Part, Prepared
from eccmgr.errors import ConfigError, ListenError
from eccmgr.text.hostport import host_port, read_host_port
from eccmgr.text.network import plain_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eccmgr.config.live.effective import ScopeView
    from eccmgr.config.live.secret_files import SecretFiles
    from eccmgr.config.syntax.changes import Change
    from eccmgr.web.seen import SeenRequests
    from eccmgr.web.site import Site

log = structlog.get_logger()

SCOPE = "Http_Listener"
_MISSING = "pages over HTTP need the packages of the extra web: pip install 'eccmgr[web]'"


@dataclass(frozen=True)
class HttpOptions:
    """The options of `Http_Listener` that are in force."""

    listen: str
    prefix: str
    host_names: tuple[str, ...]
    token_file: str | None
    passwords: bool
    authorize: bool
    certificate: str | None
    key: str | None
    client_ca: str | None
    place: str | None = field(default=None, compare=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens. Raises ConfigError."""
        try:
            host, port = read_host_port(self.listen, lowest=0)
            return str(ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)), port
        except ValueError as error:
            raise ConfigError(f"{self._where}'{self.listen[:100]}' is not ADDRESS:PORT: {error}") from None

    @property
    def asks(self) -> bool:
        """Whether callers have to prove who they are."""
        return self.token_file is not None or self.passwords or self.client_ca is not None

    @property
    def tls(self) -> Tls | None:
        """Its files for TLS."""
        return None if not self.certificate or not self.key else Tls(self.certificate, self.key, self.client_ca)

    def check(self) -> None:
        """Raises ConfigError for a listener that would be open to strangers, or makes no sense."""
        address, _ = self.address
        if not plain_address(address).is_loopback and not self.asks:
            raise ConfigError(
                f"{self._where}{self.listen} is not on the loopback, so callers have to sign in: set Token_File, "
                "Enable_Authentication with TLS, or TLS_Client_CA"
            )
        if (self.certificate is None) != (self.key is None) or (self.client_ca and not self.certificate):
            raise ConfigError(f"{self._where}TLS needs TLS_Certificate and TLS_Key")
        if self.passwords and self.certificate is None:
            raise ConfigError(f"{self._where}passwords need TLS: set TLS_Certificate and TLS_Key")
        if self.prefix and (not self.prefix.startswith("/") or self.prefix.endswith("/")):
            raise ConfigError(f"{self._where}Prefix is '{self.prefix}', expected /PATH without a slash at its end")

    @property
    def _where(self) -> str:
        return f"{self.place}: " if self.place else f"{SCOPE}: "


def http_options(view: ScopeView, listen: str | None, prefix: str | None) -> HttpOptions | None:
    """The options in force; `listen` and `prefix` are the flags. None if nothing is to be served."""
    scope = view.scope(SCOPE)
    where = listen or scope.text("Listen")
    if not where:
        return None
    return HttpOptions(
        listen=where,
        prefix=(prefix if prefix is not None else scope.text("Prefix")) or "",
        host_names=tuple(scope.items("Host_Names")),
        token_file=scope.text("Token_File"),
        passwords=scope.boolean("Enable_Authentication"),
        authorize=scope.boolean("Enable_Authorization"),
        certificate=scope.text("TLS_Certificate"),
        key=scope.text("TLS_Key"),
        client_ca=scope.text("TLS_Client_CA"),
        place=scope.place("Listen"),
    )


class Builder(Protocol):
    """Builds a server for a listener that is bound; imported only where pages are asked for."""

    def build(self, options: HttpOptions, bound: socket.socket, site: Site, read: Callable[[str], bytes]) -> Any:
        """The server, with `begin` and `end`. `read` reads a file of secrets. Raises ConfigError and ListenError."""

    def reread(self, server: Any, options: HttpOptions, read: Callable[[str], bytes]) -> Callable[[], None]:
        """What puts the files of a listener in force as they are now; it may block. Raises as `build` does."""


class HttpListener(Part):
    """The HTTP listener of a daemon, which serves `site`. The flags take the place of the options."""

    title = "pages over HTTP"

    def __init__(self, files: SecretFiles, view: ScopeView, listen: str | None, prefix: str | None, site: Site) -> None:
        """Raises ConfigError for a listener that makes no sense."""
        self._files, self._flags = files, (listen, prefix)
        self._site = site
        self._options: HttpOptions | None = None
        self._server: Any = None
        self._bound: socket.socket | None = None
        self.check(view)

    @property
    def seen(self) -> SeenRequests:
        """The requests so far."""
        return self._site.seen

    @property
    def url(self) -> str:
        """The address of the pages; "" without a listener."""
        if self._options is None or self._bound is None:
            return ""
        host, port = self._bound.getsockname()[:2]
        scheme = "https" if self._options.certificate else "http"
        return f"{scheme}://{host_port(host, port)}{self._options.prefix}/"

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError for a listener that makes no sense."""
        if (options := http_options(view, *self._flags)) is not None:
            options.check()
            _builder()
            if options.token_file is not None:
                self._read(options, options.token_file)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> Prepared:
        """Bind the new address, and build what answers there; if only files may have changed, read these anew. Raises
        ConfigError and ListenError."""
        options = http_options(view, *self._flags)
        if options is None:
            return NOTHING if self._options is None else _Change(self, None, None, None)
        if options == self._options:
            read = partial(self._read, options)
            return _Reread(await asyncio.to_thread(_builder().reread, self._server, options, read))
        options.check()
        keeps = self._options is not None and self._options.address == options.address and self._bound is not None
        bound = self._bound.dup() if keeps and self._bound is not None else _bind(options)
        try:
            read = partial(self._read, options)
            server = await asyncio.to_thread(_builder().build, options, bound, self._site, read)
        except BaseException:
            bound.close()
            raise
        return _Change(self, options, bound, server)

    def _read(self, options: HttpOptions, named: str) -> bytes:
        return self._files.read(self._files.path_of(named), options.place or SCOPE, private=True)

    async def become(self, options: HttpOptions | None, bound: socket.socket | None, server: Any) -> None:
        """Serve by `server` from now on, and no longer by the one before."""
        before, self._server = self._server, server
        self._options, self._bound = options, bound
        if server is not None:
            server.begin()
            log.info("serving pages", url=self.url)
        if before is not None:
            await before.end()

    async def finish(self) -> None:
        """End the streams and the answers under way."""
        before, self._server = self._server, None
        if before is not None:
            await before.end()

    async def close(self) -> None:
        """Let go of the address."""
        await self.finish()


@dataclass(frozen=True)
class _Change:
    listener: HttpListener
    options: HttpOptions | None
    bound: socket.socket | None
    server: Any

    async def carry_out(self) -> None:
        await self.listener.become(self.options, self.bound, self.server)

    async def undo(self) -> None:
        if self.bound is not None:
            self.bound.close()


@dataclass(frozen=True)
class _Reread:
    """The files of the listener, read anew."""

    adopt: Callable[[], None]

    async def carry_out(self) -> None:
        await asyncio.to_thread(self.adopt)

    async def undo(self) -> None:
        """Do nothing: what was read before is still in force."""


def _builder() -> Builder:
    try:
        builder: Builder = importlib.import_module("eccmgr.web.building")
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("starlette", "uvicorn", "jinja2", "markupsafe", "h11", "anyio"):
            raise ConfigError(f"{SCOPE}: {_MISSING}") from None
        raise
    return builder


def _bind(options: HttpOptions) -> socket.socket:
    address, port = options.address
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ListenError(f"Cannot serve pages on {options.listen}: {error.strerror}") from None
    return bound
