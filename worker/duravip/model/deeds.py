"""The deeds of nodes with VIPs for a command, which are the command's answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Did(StrEnum):
    """The deed of a node with a VIP."""

    RELEASED = "released"
    """It unplumbed the VIP and gave it up."""
    PLUMBED = "plumbed"
    """It got the VIP and carries it."""
    FAILED = "failed"
    """It could not do its part; `reason` says why."""


@dataclass(frozen=True, slots=True)
class Deed:
    """This node's part in a move. `took_s` is the time in seconds until the VIP was plumbed on `interface`."""

    address: str
    did: Did
    epoch: int = 0
    interface: str = ""
    took_s: float = 0.0
    reason: str = ""

    def __str__(self) -> str:
        match self.did:
            case Did.RELEASED:
                return f"{self.address} released (epoch {self.epoch})"
            case Did.PLUMBED:
                took = f"{self.took_s * 1000:.0f} ms"
                return f"{self.address} plumbed on {self.interface} (epoch {self.epoch}), {took}"
            case Did.FAILED:
                return f"{self.address} stays: {self.reason}"

    def facts(self) -> dict[str, Any]:
        """The fields of the JSON form."""
        return {
            "address": self.address,
            "did": self.did.value,
            "epoch": self.epoch,
            "interface": self.interface,
            "seconds": round(self.took_s, 6),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Announced:
    """A published configuration of VIPs: the number of its view, and the `nodes` that have `agreed` on it."""

    view: int
    agreed: tuple[str, ...]
    nodes: tuple[str, ...]
