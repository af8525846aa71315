"""Builds what answers behind an HTTP listener. It imports the packages of the extra `web`."""

import socket
from collections.abc import Callable

from starlette.requests import Request

from eccmgr.commands.caller import Caller
from eccmgr.config.live.tls import TlsContext
from eccmgr.errors import ConfigError
from eccmgr.web.access import Tokens
from eccmgr.web.application import application_of
from eccmgr.web.door import Door, DoorTerms
from eccmgr.web.listener import SCOPE, HttpOptions
from eccmgr.web.serving import HttpServer
from eccmgr.web.site import Site

Read = Callable[[str], bytes]
"""Reads the token file of this name. Raises ConfigError."""


def build(options: HttpOptions, bound: socket.socket, site: Site, read: Read) -> HttpServer:
    """The server for a listener. Raises ConfigError and ListenError if its files make no sense."""
    application = application_of(site, options.prefix, _caller_of, _holds_of)
    door = Door(application, _terms(options, read), site, f"http:{options.listen}")
    return HttpServer(door, bound, _tls(options))


def reread(server: HttpServer, options: HttpOptions, read: Read) -> Callable[[], None]:
    """Read the files of a listener anew; the result, which may block, puts them in force. Connections stay.

    Raises ConfigError and ListenError.
    """
    terms, tls = _terms(options, read), _tls(options)
    return lambda: server.adopt(terms, tls.files if tls is not None else None)


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _holds_of(request: Request) -> Callable[[], bool]:
    holds: Callable[[], bool] = request.state.holds
    return holds


def _terms(options: HttpOptions, read: Read) -> DoorTerms:
    return DoorTerms(
        address=options.address[0],
        names=options.host_names,
        prefix=options.prefix,
        tokens=None if options.token_file is None else _tokens(options.token_file, read),
        passwords=options.passwords,
        client_certificates=options.client_ca is not None,
        authorize=options.authorize,
    )


def _tokens(path: str, read: Read) -> Tokens:
    try:
        return Tokens.parse(read(path).decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{SCOPE}: {path} is not UTF-8") from None
    except ValueError as error:
        raise ConfigError(f"{SCOPE}: {path}: {error}") from None


def _tls(options: HttpOptions) -> TlsContext | None:
    # A caller may prove itself by a certificate, or in another way where there is one.
    optional = options.passwords or options.token_file is not None
    return None if options.tls is None else TlsContext(options.tls, client_optional=optional)
