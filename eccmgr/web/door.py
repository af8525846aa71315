"""The door of an HTTP listener: it lets no request in that is not a reading one, for this host, of a known user."""

import asyncio
import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from eccmgr.access.verifiers import Verifier
from eccmgr.commands.caller import Caller
from eccmgr.commands.gate import Authentication
from eccmgr.text.network import network_of
from eccmgr.web.access import HEADERS, METHODS, Tokens, credentials, host_is_known
from eccmgr.web.site import Site

OPEN_PATHS = ("/healthz", "/readyz")
"""What a probe asks without a proof."""
_REMEMBERED_S = 60.0
_REMEMBERED_MAX = 1000
_VERIFIED_AT_ONCE = 2
_USER_MAX = 64


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


@dataclass(frozen=True)
class Proof:
    """The user whom a request has proven to come from, and whether that proof still counts: a token or a verifier may
    have been removed since."""

    user: str
    holds: Callable[[], bool] = lambda: True


class Door:
    """An ASGI application around `inside`. New `terms` are in force at once."""

    def __init__(self, inside: Starlette, terms: DoorTerms, site: Site, listener: str) -> None:
        self._inside, self.terms, self._site, self._listener = inside, terms, site, listener
        self._routes = frozenset(route.path for route in inside.routes if isinstance(route, Route))
        self._remembered: dict[bytes, float] = {}
        """Until when each proof counts without being verified and told again."""
        self._verifying = asyncio.Semaphore(_VERIFIED_AT_ONCE)

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
        self._site.seen.note(self._route_of(scope), status)

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
        if not host_is_known(headers.get("host", ""), self.terms.address, self.terms.names):
            return PlainTextResponse("The Host of the request is not a name of this listener\n", 421)
        prefix = self.terms.prefix
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope["path"] = scope["path"].removeprefix(prefix)
            scope["raw_path"] = scope["path"].encode()
        header = headers.get("authorization", "")
        proof = await self._proof(scope, header)
        if proof is None and scope["path"] not in OPEN_PATHS:
            if header:
                await self._failed(scope, header)
            asked = 'Basic realm="eccmgr", charset="UTF-8"' if self.terms.passwords else "Bearer"
            return PlainTextResponse("Sign in\n", 401, {"www-authenticate": asked})
        state = scope.setdefault("state", {})
        state["caller"] = self._caller(scope, proof.user if proof is not None else "anonymous")
        state["holds"] = proof.holds if proof is not None else lambda: True
        return None

    def _caller(self, scope: Scope, user: str) -> Caller:
        peer = f"http:{_address_of(scope)}"
        return Caller(user, listener=self._listener, peer=peer, limited=self.terms.authorize)

    async def _failed(self, scope: Scope, header: str) -> None:
        """Count a proof that fails, tell the account of it, and delay its answer as a control listener does."""
        scheme, proof = credentials(header)
        claimed = proof.partition(":")[0] if scheme == "basic" else ""
        user = f"scram:{claimed[:_USER_MAX]}" if claimed.isprintable() and claimed else "anonymous"
        self._site.seen.failed["password" if scheme == "basic" else "token"] += 1
        self._site.gate.on_signed_in(self._caller(scope, user), Authentication.FAILED)
        peer = "unknown address"
        with contextlib.suppress(ValueError):
            peer = network_of(_address_of(scope))
        await self._site.penalties.serve(peer)

    async def _proof(self, scope: Scope, header: str) -> Proof | None:
        terms = self.terms
        if not terms.asks:
            return Proof("anonymous")
        if (name := certified_name(scope)) is not None:
            return Proof(f"cert:{name}")
        scheme, proof = credentials(header)
        if scheme == "bearer" and terms.tokens is not None:
            return self._by_token(scope, proof)
        if scheme == "basic" and terms.passwords:
            return await self._by_password(scope, proof)
        return None

    def _by_token(self, scope: Scope, token: str) -> Proof | None:
        def user_of() -> str | None:
            return None if self.terms.tokens is None else self.terms.tokens.user_of(token)

        if (user := user_of()) is None:
            return None
        self._proven(scope, hashlib.sha256(f"{user}\0{token}".encode()).digest(), f"token:{user}")
        return Proof(f"token:{user}", lambda: user_of() == user)

    async def _by_password(self, scope: Scope, proof: str) -> Proof | None:
        """The user of `USER:PASSWORD`. A password takes a while to verify, so a proven one counts for a minute."""
        name, _, password = proof.partition(":")
        verifiers = self._site.verifiers()
        verifier = verifiers.of(name)
        digest = hmac.digest(verifiers.secret or b"-", f"{verifier}\0{proof}".encode(), "sha256")
        if self._remembered.get(digest, 0.0) <= time.monotonic():
            async with self._verifying:
                is_right = await asyncio.to_thread(is_password, verifier, password)
            if not is_right or name not in self._site.verifiers().users:
                return None
        self._proven(scope, digest, f"scram:{name}")
        return Proof(f"scram:{name}", lambda: self._site.verifiers().users.get(name) == verifier)

    def _proven(self, scope: Scope, digest: bytes, user: str) -> None:
        """Remember a proof for a while, and tell the account of it the first time."""
        now = time.monotonic()
        if self._remembered.get(digest, 0.0) > now:
            return
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[digest] = now + _REMEMBERED_S
        self._site.gate.on_signed_in(self._caller(scope, user), Authentication.SUCCEEDED)


def _address_of(scope: Scope) -> str:
    return str(scope["client"][0]) if scope.get("client") else ""


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
