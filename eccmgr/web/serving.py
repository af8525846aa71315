"""Serves an application over HTTP in the daemon's own event loop, by uvicorn without its signal handlers."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from eccmgr.config.live.options import Tls
from eccmgr.config.live.tls import TlsContext
from eccmgr.errors import ListenError
from eccmgr.web.door import Door, DoorTerms

CONNECTIONS_MAX = 1000
_GRACE_S = 1
_IDLE_S = 15


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the daemon."""
        yield


class _Protocol(H11Protocol):
    """Tells the application the common name of the client's certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        certificate = transport.get_extra_info("peercert") or {}
        subject = [pair for part in certificate.get("subject", ()) for pair in part]
        name = next((value for key, value in subject if key == "commonName"), None)
        inside = self.app

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})["tls"] = {"client_cert_name": name}
            await inside(scope, receive, send)

        self.app = application


class HttpServer:
    """One listener. `begin` and `end` are called once each."""

    def __init__(self, door: Door, bound: socket.socket, tls: TlsContext | None) -> None:
        self._door, self._bound, self._tls = door, bound, tls
        config = uvicorn.Config(
            door,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
        config.load()
        config.ssl = tls.context if tls is not None else None
        self._server = _Server(config)
        self._task: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        """Answer requests from now on."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve([self._bound]), name="http")

    def adopt(self, terms: DoorTerms, files: Tls | None) -> None:
        """Take new terms and certificates, for requests and connections from now on; blocks."""
        self._door.terms = terms
        if self._tls is not None and files is not None:
            with contextlib.suppress(ListenError):
                # The files were read a moment ago, with another context.
                self._tls.load(files)

    async def end(self) -> None:
        """Let answers under way leave, and close every connection."""
        self._server.should_exit = True
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=_GRACE_S + 2)
            for task in late:
                task.cancel()
                await asyncio.wait({task}, timeout=_GRACE_S)
        self._bound.close()
