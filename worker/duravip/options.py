"""The options of the scope `cluster` for placing, plumbing, fencing and announcing VIPs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from eccmgr.config.live.effective import ScopeView


class PlumberKind(StrEnum):
    """The kinds of a plumber, which adds addresses to interfaces and removes them."""

    AUTO = "auto"
    """As `netlink`; a node that may not use netlink carries no VIP."""
    NETLINK = "netlink"
    """The guardian changes the addresses itself."""
    EXEC = "exec"
    """A program of the operator changes the addresses (`plumber_program`)."""
    MEMORY = "memory"
    """No address changes, for a demonstration on one machine."""


class FenceKind(StrEnum):
    """The kinds of a fence, which silences the VIPs of a host whose processes are all dead or stopped."""

    AUTO = "auto"
    """`nftables` if it works, else `valid_lft` if that works, else `none`."""
    NFTABLES = "nftables"
    """An element of an nftables set with a timeout, renewed with the session."""
    VALID_LFT = "valid_lft"
    """A lifetime of each address, in whole seconds, renewed with the session."""
    NONE = "none"
    """No fence."""


@dataclass(frozen=True, slots=True)
class DuravipOptions:
    """Times in seconds; the defaults are those of the configuration's schema."""

    view_mature_time_s: float = 5.0
    """The time for which a view must have been still before it is balanced."""
    view_balance_interval_s: float = 5.0
    """The time between two steps of balancing."""
    balance_set_size: int = 10
    """The most VIPs that one step of balancing moves."""
    if_check_interval_s: float = 1.0
    """The time between two checks of the interfaces."""
    arp_all_hosts: bool = True
    """Whether a move is announced to all hosts; if not, only to the gateway and known peers."""
    announce_count: int = 5
    """The number of announcements of a VIP that was just plumbed, spread evenly over `announce_time_s`."""
    announce_time_s: float = 2.0
    announce_refresh_s: float = 60.0
    """The time between later announcements; with 0 there are no later ones."""
    plumber: PlumberKind = PlumberKind.AUTO
    plumber_program: str | None = None
    fence: FenceKind = FenceKind.AUTO


def duravip_options(view: ScopeView) -> DuravipOptions:
    """The options for VIPs. Raises ConfigError, which names the place of an option that does not fit."""
    cluster = view.scope("cluster")
    options = DuravipOptions(
        view_mature_time_s=cluster.seconds("view_mature_time"),
        view_balance_interval_s=cluster.seconds("view_balance_interval"),
        balance_set_size=cluster.integer("duravip_balance_set_size"),
        if_check_interval_s=cluster.seconds("if_check_interval"),
        arp_all_hosts=cluster.boolean("arp_all_hosts"),
        announce_count=cluster.integer("announce_count"),
        announce_time_s=cluster.seconds("announce_time"),
        announce_refresh_s=cluster.seconds("announce_refresh"),
        plumber=_choice(cluster, "plumber", PlumberKind),
        plumber_program=cluster.text("plumber_program"),
        fence=_choice(cluster, "fence", FenceKind),
    )
    if options.plumber is PlumberKind.EXEC and options.plumber_program is None:
        raise cluster.fault("plumber is exec, expected a plumber_program", "plumber")
    return options


_Kind = TypeVar("_Kind", bound=StrEnum)


def _choice(scope: ScopeView, option: str, kind: type[_Kind]) -> _Kind:
    text = scope.text(option) or ""
    try:
        return kind(text.lower())
    except ValueError:
        raise scope.fault(f"{option} is '{text[:60]}', expected {' or '.join(kind)}", option) from None
