"""A daemon's control listeners: turns the listeners of the configuration into those that the server opens."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.options import ListenerOptions as Configured
from eccmgr.config.live.options import Peer, listeners
from eccmgr.config.live.parts import Part
from eccmgr.config.syntax.changes import Change
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.limits import Limits
from eccmgr.control.peer import PeerRule, PeerRules
from eccmgr.control.server import ControlServer, Listener, ServerChange
from eccmgr.errors import ConfigError, SettingsError


@dataclass(frozen=True)
class ListeningPlan:
    """The settings for each endpoint, and remarks on options that have no effect yet or are less safe than they
    seem."""

    listeners: Mapping[Endpoint, Listener]
    remarks: tuple[str, ...]

    @property
    def serves(self) -> bool:
        """Whether at least one listener runs every command."""
        return any(
            endpoint.path is not None or listener.beyond_loopback for endpoint, listener in self.listeners.items()
        )

    @property
    def asks_for_passwords(self) -> bool:
        """Whether callers of a listener sign in by password."""
        return any(endpoint.path is None and each.limits.authenticate for endpoint, each in self.listeners.items())


class Listeners(Part):
    """The listeners of one daemon. The endpoints in `listen` replace those of the files; `default` is the only one if
    neither names any."""

    title = "listeners"

    def __init__(self, server: ControlServer, view: ScopeView, default: str, listen: Sequence[str]) -> None:
        """Raises ConfigError for a listener that makes no sense."""
        self._server, self._default, self._listen = server, default, listen
        self.plan = self._planned(view)
        """The plan in force."""
        self._named = self._are_named(view)
        self._is_open = False

    def check(self, view: ScopeView) -> None:
        """Raises ConfigError for a listener that makes no sense."""
        self._planned(view)

    async def prepare(self, view: ScopeView, _changes: Sequence[Change]) -> "ListenersChange":
        """Bind new endpoints. Raises ConfigError or ListenError if that fails, or if no listener would answer."""
        planned, named = self._planned(view), self._are_named(view)
        unnamed = self._named and not named
        if self._is_open and self.plan.serves and (unnamed or not planned.serves):
            raise ConfigError("The last listener that answers cannot be removed: set another one before, or with it")
        return ListenersChange(self, planned, named, await self._server.prepare(planned.listeners))

    def become(self, planned: "ListeningPlan", named: bool) -> None:
        """Record the plan that was carried out."""
        self.plan, self._named, self._is_open = planned, named, True

    async def close(self) -> None:
        """Let answers under way leave, and end every connection."""
        await self._server.close()

    def _planned(self, view: ScopeView) -> "ListeningPlan":
        return plan(listeners(view, self._default, self._listen))

    def _are_named(self, view: ScopeView) -> bool:
        return bool(self._listen or view.scope("Control_Listener").scopes("Listen"))


@dataclass(frozen=True)
class ListenersChange:
    """Another plan, for which the server has prepared."""

    listeners: Listeners
    plan: "ListeningPlan"
    named: bool
    server: ServerChange

    async def carry_out(self) -> None:
        """Put the new plan in force."""
        self.listeners.become(self.plan, self.named)
        await self.server.carry_out()

    async def undo(self) -> None:
        """Close the new endpoints."""
        await self.server.undo()


def plan(configured: Sequence[Configured]) -> ListeningPlan:
    """The plan for the server. Raises ConfigError for a listener that makes no sense."""
    endpoints = [_endpoint(options) for options in configured]
    pairs = list(zip(endpoints, configured, strict=True))
    remarks = [text for endpoint, options in pairs if (text := _remark(endpoint, options))]
    return ListeningPlan({endpoint: _listener(options) for endpoint, options in pairs}, tuple(remarks))


def _remark(endpoint: Endpoint, configured: Configured) -> str:
    if endpoint.path is not None or configured.authenticate or _asks_for_certificates(configured):
        return ""
    if configured.insecure:
        return f"Listener {endpoint} is insecure: every caller that reaches it may run every command"
    return f"Listener {endpoint} cannot tell who its callers are: it answers version, uptime, pid and info alone"


def _asks_for_certificates(configured: Configured) -> bool:
    return configured.tls is not None and configured.tls.client_ca is not None


def _endpoint(configured: Configured) -> Endpoint:
    try:
        endpoint = Endpoint.parse(configured.endpoint)
    except SettingsError as error:
        raise ConfigError(_at(configured, str(error))) from None
    if endpoint.path is not None and configured.tls is not None:
        raise ConfigError(_at(configured, f"Listener {configured.endpoint}: TLS is for TCP, not for a Unix socket"))
    return endpoint


def _listener(configured: Configured) -> Listener:
    return Listener(
        Limits(
            idle_timeout_s=configured.timeout_s,
            max_command_bytes=configured.max_command_bytes,
            max_connections_of_peer=configured.max_connections_of_peer,
            authenticate=configured.authenticate and not _asks_for_certificates(configured),
            authorize=configured.authorize,
            insecure=configured.insecure,
            peers=PeerRules(tuple(_rule(configured, peer) for peer in configured.peers)),
        ),
        configured.file_mode,
        configured.backlog,
        beyond_loopback=configured.insecure or configured.authenticate or configured.tls is not None,
        tls=configured.tls,
    )


def _rule(configured: Configured, peer: Peer) -> PeerRule:
    try:
        return PeerRule(ipaddress.ip_network(peer.network, strict=False), peer.always_allow, peer.always_deny)
    except ValueError as error:
        raise ConfigError(_at(configured, f"Peer '{peer.network}': {error}")) from None


def _at(configured: Configured, text: str) -> str:
    return f"{configured.place}: {text}" if configured.place else text
