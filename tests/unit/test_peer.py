"""The other end of a connection, and the connections that count as one peer's."""

import os
import socket

import pytest

from eccmgr.control.peer import remote_end


def test_a_user_of_this_host_is_known() -> None:
    one, other = socket.socketpair()
    with one, other:
        end = remote_end(one)
    assert (end.place, end.key, end.is_root) == (f"pid {os.getpid()}", f"uid {os.geteuid()}", os.geteuid() == 0)


class Accepted(socket.socket):
    """A socket with a given address at its other end."""

    def __init__(self, address: str) -> None:
        super().__init__(socket.AF_INET6)
        self.address = address

    def getpeername(self) -> tuple[str, int]:
        """The given address."""
        return self.address, 7


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_addresses_of_one_host_count_together(address: str, key: str) -> None:
    with Accepted(address) as accepted:
        end = remote_end(accepted)
    assert (end.user, end.key, end.is_root) == ("anonymous", key, False)
