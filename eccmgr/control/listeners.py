"""Turns the listeners of a configuration into those that the server opens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eccmgr.config.options import Listener as Configured
from eccmgr.control.barred import Barred
from eccmgr.control.connection import Limits
from eccmgr.control.endpoint import Endpoint
from eccmgr.control.server import Listener
from eccmgr.errors import ConfigError, SettingsError


@dataclass(frozen=True)
class Plan:
    """The listener of each endpoint, and remarks on listeners that are unsafe or have options not available yet."""

    listeners: Mapping[Endpoint, Listener]
    remarks: tuple[str, ...]

    @property
    def serves(self) -> bool:
        """Whether at least one listener runs commands."""
        return any(not listener.limits.refusal for listener in self.listeners.values())


def plan(configured: Sequence[Configured]) -> Plan:
    """Plan the server's listeners. Raises ConfigError for a listener that cannot be opened."""
    endpoints = [_endpoint(each) for each in configured]
    pairs = list(zip(endpoints, configured, strict=True))
    remarks = [text for endpoint, each in pairs if (text := _remark(endpoint, each))]
    return Plan({endpoint: _listener(endpoint, each) for endpoint, each in pairs}, tuple(remarks))


def _remark(endpoint: Endpoint, configured: Configured) -> str:
    refusal = _refusal(endpoint, configured)
    if refusal is Barred.UNKNOWN_CALLER:
        return f"Listener {endpoint} demands authentication, which is not available yet: it refuses all"
    if refusal is not None:
        return f"Listener {endpoint} demands authorization, which is not available yet: it refuses all"
    if configured.insecure and endpoint.path is None:
        return f"Listener {endpoint} is insecure: every caller that reaches it may run every command"
    return ""


def _endpoint(configured: Configured) -> Endpoint:
    try:
        endpoint = Endpoint.parse(configured.endpoint)
    except SettingsError as error:
        raise ConfigError(_at(configured, str(error))) from None
    if configured.tls is not None:
        raise ConfigError(_at(configured, f"Listener {configured.endpoint}: TLS is not available yet in this release"))
    if configured.peers:
        raise ConfigError(_at(configured, f"Listener {configured.endpoint}: Peer is not available yet in this release"))
    return endpoint


def _listener(endpoint: Endpoint, configured: Configured) -> Listener:
    refusal = _refusal(endpoint, configured)
    return Listener(
        Limits(
            idle_timeout_s=configured.timeout_s,
            max_command_bytes=configured.max_command_bytes,
            refusal=refusal,
        ),
        configured.file_mode,
        configured.backlog,
        beyond_loopback=configured.insecure or refusal is not None,
    )


def _refusal(endpoint: Endpoint, configured: Configured) -> Barred | None:
    """The answer to every command, or None if commands run; the kernel authenticates a caller on a Unix socket."""
    if configured.authenticate and endpoint.path is None:
        return Barred.UNKNOWN_CALLER
    return Barred.NO_ROLES if configured.authorize else None


def _at(configured: Configured, text: str) -> str:
    return f"{configured.place}: {text}" if configured.place else text
