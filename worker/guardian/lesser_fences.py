"""The fences for hosts without nftables, and for demonstrations that change nothing in the kernel."""

import math
from collections.abc import Callable, Iterable

from eccmgr.cluster.timing import TOKEN_S
from worker.guardian.fence import Refused


class LifetimeFence:
    """The fence without nftables: each address has a lifetime in whole seconds, after which the kernel removes it.

    The cost grows with the addresses. The kernel may be late, because it looks for ended lifetimes about once a second.
    """

    name = "valid_lft"
    late_s = 2.25  # one second from rounding up, and the largest lateness of the kernel that was measured

    def __init__(self, renew: Callable[[int], None], clock: Callable[[], float]) -> None:
        """`renew` gives all plumbed addresses, and those plumbed later, a lifetime in seconds; it raises OSError."""
        self._renew, self._clock = renew, clock
        self._armed = -1.0

    def build(self, addresses: Iterable[str], interfaces: Iterable[tuple[int, str]]) -> None:
        """Nothing to build."""

    def cover(self, addresses: Iterable[str]) -> None:
        """Nothing to cover."""

    def hook(self, interfaces: Iterable[tuple[int, str]]) -> None:
        """Nothing to hook."""

    def arm(self) -> None:
        """Note the time in place of a token, because here the kernel cannot refuse a late renewal."""
        self._armed = self._clock()

    def open(self, left_s: float) -> None:
        """Renew the lifetimes. A renewal brings an expired address back, so the clock is read again afterwards."""
        if self._clock() > self._armed + TOKEN_S:
            raise Refused("too late")
        try:
            self._renew(math.ceil(left_s))
        except OSError as error:
            raise Refused(str(error)) from None
        if self._clock() > self._armed + left_s:
            raise Refused("too late")

    def close(self) -> None:
        """Nothing to close: removing the addresses suffices."""

    def touched(self) -> bool:
        """Nothing to watch: the plumber mends removed addresses."""
        return False

    def descriptor(self) -> int | None:
        """There are no events to hear."""
        return None

    def release(self) -> None:
        """Nothing is held open."""


class NoFence(LifetimeFence):
    """No fence in the kernel: while its processes are stopped, a host goes on answering."""

    name = "none"
    late_s = math.inf

    def __init__(self) -> None:
        super().__init__(lambda _: None, lambda: 0.0)
