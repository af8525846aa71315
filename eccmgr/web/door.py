"""The door of an HTTP listener: it lets no request in that is not a reading one, for this host, of a known user."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from eccmgr.access.verifiers import Verifier, Verifiers
from eccmgr.commands.caller import Caller
from eccmgr.web.access import HEADERS, METHODS, Tokens, credentials, host_is_known
from eccmgr.web.seen import SeenRequests

OPEN_PATHS = ("/healthz", "/readyz")
"""What a probe asks without a proof."""
_REMEMBERED_S = 60.0
_REMEMBERED_MAX = 1000


@dataclass(frozen=True)
class DoorTerms:
    """The terms of a listener: the address that it is bound to, further names of this host, and how callers prove
    themselves. With `tokens` or `verifiers` every caller has to; with `authorize` a role has to allow each page."""

    address: str
    names: tuple[str, ...] = ()
    prefix: str = ""
    tokens: Tokens | None = None
    passwords: bool = False
    client_certificates: bool = False
    authorize: bool = False

    @property
    def asks(self) -> bool:
        """Whether callers have to prove who they are."""
        return self.tokens is not None or self.passwords or self.client_certificates


class Door:
    """An ASGI application around `inside`."""

    def __init__(
        self, inside: Starlette, terms: DoorTerms, seen: SeenRequests, listener: str, verifiers: Callable[[], Verifiers]
    ) -> None:
        self._inside, self._terms, self._seen, self._listener = inside, terms, seen, listener
        self._routes = frozenset(route.path for route in inside.routes if isinstance(route, Route))
        self._verifiers = verifiers
        self._remembered: dict[bytes, tuple[str, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or refuse it."""
        if scope["type"] != "http":
            return
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, sending)
        else:
            await self._inside(scope, receive, sending)
        self._seen.note(self._route_of(scope), status)

    def _route_of(self, scope: Scope) -> str:
        """The route of a request that was answered, such as `/nodes/{name}`; "other" for everything else."""
        path = str(scope["path"])
        for name, value in scope.get("path_params", {}).items():
            path = path.replace(f"/{value}", f"/{{{name}}}", 1)
        return path if path in self._routes else "other"

    async def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] not in METHODS:
            return PlainTextResponse("These pages are read-only: GET or HEAD\n", 405, {"allow": ", ".join(METHODS)})
        if not host_is_known(headers.get("host", ""), self._terms.address, self._terms.names):
            return PlainTextResponse("The Host of the request is not a name of this listener\n", 421)
        prefix = self._terms.prefix
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope["path"] = scope["path"].removeprefix(prefix)
            scope["raw_path"] = scope["path"].encode()
        user = await self._user(scope, headers.get("authorization", ""))
        if user is None and scope["path"] not in OPEN_PATHS:
            asked = 'Basic realm="eccmgr", charset="UTF-8"' if self._terms.passwords else "Bearer"
            return PlainTextResponse("Sign in\n", 401, {"www-authenticate": asked})
        peer = scope["client"][0] if scope.get("client") else ""
        scope.setdefault("state", {})["caller"] = Caller(
            user or "anonymous", listener=self._listener, peer=f"http:{peer}", limited=self._terms.authorize
        )
        return None

    async def _user(self, scope: Scope, header: str) -> str | None:
        terms = self._terms
        if not terms.asks:
            return "anonymous"
        if (name := certified_name(scope)) is not None:
            return f"cert:{name}"
        scheme, proof = credentials(header)
        if scheme == "bearer" and terms.tokens is not None:
            user = terms.tokens.user_of(proof)
            return None if user is None else f"token:{user}"
        if scheme == "basic" and terms.passwords:
            return await self._by_password(proof)
        return None

    async def _by_password(self, proof: str) -> str | None:
        """The user of `USER:PASSWORD`. A password takes a while to verify, so a proven one counts for a minute."""
        name, _, password = proof.partition(":")
        verifiers = self._verifiers()
        verifier = verifiers.of(name)
        digest = hmac.digest(verifiers.secret or b"-", f"{verifier}\0{proof}".encode(), "sha256")
        now = time.monotonic()
        known = self._remembered.get(digest)
        if known is not None and known[1] > now:
            return known[0]
        if not await asyncio.to_thread(is_password, verifier, password):
            return None
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[digest] = f"scram:{name}", now + _REMEMBERED_S
        return f"scram:{name}"


def is_password(verifier: Verifier, password: str) -> bool:
    """Whether `password` is the one that `verifier` was made of; takes some 20 ms."""
    try:
        made = Verifier.of(password, verifier.salt, verifier.iterations)
    except ValueError:
        return False
    return hmac.compare_digest(hashlib.sha256(made.stored_key).digest(), hashlib.sha256(verifier.stored_key).digest())


def certified_name(scope: Scope) -> str | None:
    """The common name of the client's certificate, which the listener's authority has signed; None without one."""
    name: str | None = scope.get("extensions", {}).get("tls", {}).get("client_cert_name")
    return name or None
