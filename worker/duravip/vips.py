"""Reads a node's VIPs from its configuration: addresses, interfaces, names, preferences."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from eccmgr.cluster.names import natural, same_node
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.syntax.changes import Change
from eccmgr.duravip.shares import MAX_VIPS, Share, digest
from eccmgr.errors import ConfigError
from eccmgr.text.hostport import read_host_port
from worker.guardian.charter import Grounds

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_FAULTS_SHOWN = 100
_SCOPES = frozenset({"binding", "cluster", "esmtp_listener"})


@dataclass(frozen=True, slots=True)
class ConfiguredVip:
    """A floating address that this node may carry.

    The guardian adds it to `interface` with `prefix_length`. `follows` is the address of the VIP with which it moves;
    that VIP follows no other. `services` are its listeners.
    """

    address: str
    interface: str
    prefix_length: int
    names: tuple[str, ...] = ()
    preference: str | None = None
    follows: str | None = None
    services: tuple[str, ...] = ()

    @property
    def share(self) -> Share:
        """This node's part in the VIP, on which nodes have to agree."""
        return Share(self.names, self.preference, self.follows, digest("\n".join(self.services)))


@dataclass(frozen=True, slots=True)
class _Stanza:
    """A `Binding` or a `Listen`, with the options that concern its address; `address` is None if it has no address of
    its own."""

    kind: str
    name: str
    address: IPAddress | None
    enabled: bool
    follows: str | None
    preference: str | None
    place: str | None

    @property
    def floating(self) -> bool:
        return self.enabled or self.follows is not None

    @property
    def where(self) -> str:
        return f'{self.kind} "{self.name}"'


@dataclass(frozen=True, slots=True)
class _Topology:
    network: IPNetwork
    interface: str | None
    prefix_length: int
    name: str


class _Faults:
    """Collects all faults: one line for each, which begins with the place."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def add(self, place: str | None, text: str) -> None:
        self._lines[f"{place}: {text}" if place else text] = None

    def check(self) -> None:
        if self._lines:
            raise ConfigError("\n".join(islice(self._lines, _FAULTS_SHOWN)))


def read_vips(view: ScopeView) -> dict[str, ConfiguredVip]:
    """The VIPs of a configuration, by address and in order of address.

    Raises ConfigError with all faults: one line for each, which begins with its place and names the VIP.
    """
    faults = _Faults()
    stanzas = list(chain(_bindings(view, faults), _listeners(view, faults)))
    of_address: dict[IPAddress, list[_Stanza]] = {}
    for stanza in stanzas:
        if stanza.address is not None:
            of_address.setdefault(stanza.address, []).append(stanza)
    floating = {address: found for address, found in of_address.items() if any(stanza.floating for stanza in found)}
    if len(floating) > MAX_VIPS:
        raise ConfigError(f"{len(floating)} VIPs, expected at most {MAX_VIPS}")
    leaders = _leaders(floating, faults)
    topologies = _topologies(view, faults)
    vips = {}
    for address in sorted(floating, key=lambda each: (each.version, each)):
        vip = _vip(address, floating[address], leaders.get(address), topologies, faults)
        if vip is not None:
            vips[vip.address] = vip
    faults.check()
    return vips


def touches_vips(changes: Iterable[Change]) -> bool:
    """Whether any of the changes may concern VIPs or their options."""
    return any(not change.path or change.path[0].kind.lower() in _SCOPES for change in changes)


def _bindings(view: ScopeView, faults: _Faults) -> Iterator[_Stanza]:
    for scope in view.scopes("Binding"):
        address = scope.text("Bind_Address")
        stanza = _stanza("Binding", scope, ipaddress.ip_address(address) if address else None)
        if stanza.floating and stanza.address is None:
            faults.add(stanza.place, f"{stanza.where} is to float and has no address, expected Bind_Address")
        yield stanza


def _listeners(view: ScopeView, faults: _Faults) -> Iterator[_Stanza]:
    for above in view.scopes("ESMTP_Listener"):
        for scope in above.scopes("Listen"):
            stanza = _stanza("Listen", scope, _address_of(scope.name))
            if stanza.floating and stanza.address is None:
                faults.add(stanza.place, f"{stanza.where} is to float, expected ADDRESS:PORT with an IP address")
            yield stanza


def _stanza(kind: str, scope: ScopeView, address: IPAddress | None) -> _Stanza:
    return _Stanza(
        kind,
        scope.name,
        address,
        scope.boolean("Enable_Duravip"),
        scope.text("Duravip_Follow"),
        scope.text("Duravip_Preference"),
        scope.place(),
    )


def _address_of(endpoint: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(read_host_port(endpoint, lowest=0)[0])
    except ValueError:
        return None


def read_grounds(view: ScopeView) -> tuple[Grounds, ...]:
    """The networks in which a guardian may carry addresses, the narrowest first: every Topology that names an
    interface."""
    topologies = _topologies(view, _Faults())
    return tuple(
        Grounds(str(topology.network), topology.interface, topology.prefix_length)
        for topology in topologies
        if topology.interface
    )


def _topologies(view: ScopeView, faults: _Faults) -> list[_Topology]:
    """All networks, the narrowest first."""
    topologies: list[_Topology] = []
    for scope in view.scope("cluster").scopes("Topology"):
        network = ipaddress.ip_network(scope.name, strict=False)
        topology = _Topology(network, scope.text("interface"), scope.integer("cidrmask"), scope.name)
        if topology.prefix_length > network.max_prefixlen:
            wrong = f'Topology "{scope.name}" has cidrmask {topology.prefix_length}'
            faults.add(scope.place("cidrmask"), f"{wrong}, expected at most {network.max_prefixlen}")
        for other in topologies:
            if other.network == network and other != topology:
                faults.add(scope.place(), f'Topology "{scope.name}" is the network of Topology "{other.name}" again')
        topologies.append(topology)
    return sorted(topologies, key=lambda each: -each.network.prefixlen)


def _leaders(floating: dict[IPAddress, list[_Stanza]], faults: _Faults) -> dict[IPAddress, IPAddress]:
    """For each address that follows another: the leader, at the end of the chain."""
    named = {
        stanza.name: address
        for address, stanzas in floating.items()
        for stanza in stanzas
        if stanza.kind == "Binding" and stanza.floating
    }
    next_of: dict[IPAddress, IPAddress] = {}
    for address, stanzas in floating.items():
        for stanza in stanzas:
            target = _target(stanza, named, floating, faults) if stanza.follows is not None else None
            if target is None:
                continue
            if next_of.setdefault(address, target) != target:
                faults.add(stanza.place, f"VIP {address} follows both {next_of[address]} and {target}, expected one")
    leaders: dict[IPAddress, IPAddress] = {}
    for address in next_of:
        way, reached = {address: None}, next_of[address]
        while reached in next_of and reached not in leaders and reached not in way:
            way[reached], reached = None, next_of[reached]
        if reached in way:
            place = next((each.place for each in floating[address] if each.follows is not None), None)
            faults.add(place, f"VIP {address} follows in a circle: {' → '.join(map(str, (*way, reached)))}")
        leaders.update(dict.fromkeys(way, leaders.get(reached, reached)))
    return leaders


def _target(
    stanza: _Stanza, named: dict[str, IPAddress], floating: Iterable[IPAddress], faults: _Faults
) -> IPAddress | None:
    """The address that a stanza follows; the stanza gives its name or the address itself."""
    target = named.get(stanza.follows or "")
    if target is None:
        try:
            target = ipaddress.ip_address(stanza.follows or "")
        except ValueError:
            target = None
    if target is None or target not in floating:
        what = f"VIP {stanza.address} of {stanza.where} follows '{stanza.follows}'"
        faults.add(stanza.place, f"{what}, expected the name or the address of another VIP of this configuration")
        return None
    if target == stanza.address:
        faults.add(stanza.place, f"VIP {stanza.address} of {stanza.where} follows itself, expected another VIP")
        return None
    return target


def _vip(
    address: IPAddress,
    stanzas: list[_Stanza],
    leader: IPAddress | None,
    topologies: list[_Topology],
    faults: _Faults,
) -> ConfiguredVip | None:
    enabled = next((stanza for stanza in stanzas if stanza.enabled), None)
    follower = next((stanza for stanza in stanzas if stanza.follows is not None), None)
    first = follower or enabled or stanzas[0]
    if enabled is not None and follower is not None:
        where = " and ".join(dict.fromkeys((enabled.where, follower.where)))
        faults.add(first.place, f"VIP {address} has both Enable_Duravip and Duravip_Follow ({where}), expected one")
    if address.is_unspecified or address.is_multicast:
        faults.add(first.place, f"VIP {address} of {first.where} cannot be carried, expected the address of one host")
    if address.version == 6 and address.ipv4_mapped:
        faults.add(first.place, f"{first.where} has an IPv4 address in a form of IPv6, expected {address.ipv4_mapped}")
    preference = _preference(address, stanzas, faults) if follower is None else None
    topology = next((each for each in topologies if address in each.network), None)
    if topology is None:
        expected = f'expected one such as Topology "{_neighbourhood(address)}" {{ interface = NAME }}'
        faults.add(first.place, f"VIP {address} of {first.where} is outside of every Topology, {expected}")
        return None
    if not topology.interface:
        faults.add(first.place, f'VIP {address} of {first.where}: Topology "{topology.name}" names no interface')
        return None
    return ConfiguredVip(
        str(address),
        topology.interface,
        topology.prefix_length,
        tuple(sorted((each.name for each in stanzas if each.kind == "Binding" and each.floating), key=natural)),
        preference,
        None if leader is None else str(leader),
        tuple(sorted(each.where for each in stanzas if not (each.kind == "Binding" and each.floating))),
    )


def _preference(address: IPAddress, stanzas: list[_Stanza], faults: _Faults) -> str | None:
    """The preference of an address, from its enabled stanzas."""
    preference: str | None = None
    for stanza in stanzas:
        if not stanza.enabled or stanza.preference is None:
            continue
        if preference is not None and not same_node(preference, stanza.preference):
            wrong = f"VIP {address} has the preferences {preference} and {stanza.preference}, expected one"
            faults.add(stanza.place, wrong)
        preference = preference or stanza.preference
    return preference


def _neighbourhood(address: IPAddress) -> str:
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))
