"""Builds what answers behind an HTTP listener. It imports the packages of the extra `web`."""

import socket
import ssl

from starlette.requests import Request

from eccmgr.commands.caller import Caller
from eccmgr.errors import ConfigError
from eccmgr.web.access import Tokens
from eccmgr.web.application import application_of
from eccmgr.web.door import Door, DoorTerms
from eccmgr.web.listener import SCOPE, HttpOptions, read_file
from eccmgr.web.serving import HttpServer
from eccmgr.web.site import Site


def build(options: HttpOptions, bound: socket.socket, site: Site) -> HttpServer:
    """The server for a listener. Raises ConfigError if its files make no sense."""
    terms = DoorTerms(
        address=options.address[0],
        names=options.host_names,
        prefix=options.prefix,
        tokens=_tokens(options.token_file),
        passwords=options.passwords,
        client_certificates=options.client_ca is not None,
        authorize=options.authorize,
    )
    application = application_of(site, options.prefix, _caller_of)
    door = Door(application, terms, site.seen, f"http:{options.listen}", site.verifiers)
    return HttpServer(door, bound, _tls(options))


def _caller_of(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _tokens(path: str | None) -> Tokens | None:
    if path is None:
        return None
    try:
        return Tokens.parse(read_file(path))
    except ValueError as error:
        raise ConfigError(f"{SCOPE}: {path}: {error}") from None


def _tls(options: HttpOptions) -> ssl.SSLContext | None:
    if options.certificate is None or options.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key)
        if options.client_ca is not None:
            context.load_verify_locations(options.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if not options.passwords else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{SCOPE}: the TLS files cannot be used: {reason}") from None
    return context
