"""The protocol of a plumber, which puts addresses on interfaces, and the plumber that only remembers them."""

from collections.abc import Sequence
from typing import Protocol

from worker.guardian.wire import Address

Failures = tuple[tuple[str, str], ...]
"""Addresses, each with a reason."""


class Plumber(Protocol):
    """The guardian's requests to a plumber. A method does not raise the failures of single addresses; it answers
    them."""

    name: str

    def sweep(self, configured: Sequence[Address]) -> Failures:
        """Remove the addresses that an earlier guardian left."""

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:
        """Plumb addresses; answers for each '' or the reason for its failure, or None if it is under way and `finished`
        will report it."""

    def finished(self) -> list[tuple[str, int, str]]:
        """The plumbings that have ended since the last call: address, epoch, and '' or the reason for the failure."""

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Remove these addresses; answers the addresses that are still there."""

    def check(self, addresses: Sequence[Address]) -> Failures:
        """Add missing addresses and remove surplus ones; answers the addresses that could not be mended."""

    def close(self) -> None:
        """Release its resources."""


class MemoryPlumber:
    """Remembers addresses and changes nothing: for demonstrations on one machine."""

    name = "memory"

    def __init__(self) -> None:
        self.plumbed: dict[str, int] = {}

    def sweep(self, configured: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Nothing can be left by an earlier guardian."""
        return ()

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:
        """Always succeeds."""
        self.plumbed.update(zip((vip.address for vip in addresses), epochs, strict=True))
        return [""] * len(addresses)

    def finished(self) -> list[tuple[str, int, str]]:
        """Nothing takes time."""
        return []

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Always succeeds."""
        for vip in addresses:
            self.plumbed.pop(vip.address, None)
        return ()

    def check(self, addresses: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Nothing to compare with."""
        return ()

    def close(self) -> None:
        """Nothing is open."""
