"""What puts addresses on interfaces, and the kind that only remembers them."""

from collections.abc import Sequence
from typing import Protocol

from worker.guardian.wire import Address

Failures = tuple[tuple[str, str], ...]
"""Address and reason each."""


class Plumber(Protocol):
    """What the guardian asks of a plumber. No method raises for what befell one address: it is answered."""

    name: str

    def sweep(self, configured: Sequence[Address]) -> Failures:
        """Remove what an earlier guardian left."""

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:
        """For each '' or why not; None where it is under way and `finished` will tell."""

    def finished(self) -> list[tuple[str, int, str]]:
        """Address, epoch and '' or why not, of what was under way and has ended since the last time."""

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Remove these; what is still there afterwards."""

    def check(self, addresses: Sequence[Address]) -> Failures:
        """Mend what should be there and is not, and remove what should not; what could not be mended."""

    def close(self) -> None:
        """Let go of what it holds open."""


class MemoryPlumber:
    """Remembers and changes nothing: for demonstrations on one machine."""

    name = "memory"

    def __init__(self) -> None:
        self.plumbed: dict[str, int] = {}

    def sweep(self, configured: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Nothing is left of an earlier one."""
        return ()

    def plumb(self, addresses: Sequence[Address], epochs: Sequence[int]) -> list[str | None]:
        """Always well."""
        self.plumbed.update(zip((each.address for each in addresses), epochs, strict=True))
        return [""] * len(addresses)

    def finished(self) -> list[tuple[str, int, str]]:
        """Nothing takes time."""
        return []

    def unplumb(self, addresses: Sequence[Address]) -> Failures:
        """Always well."""
        for each in addresses:
            self.plumbed.pop(each.address, None)
        return ()

    def check(self, addresses: Sequence[Address]) -> Failures:  # noqa: ARG002
        """Nothing to compare with."""
        return ()

    def close(self) -> None:
        """Nothing is open."""
