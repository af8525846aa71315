"""Host and port: made and read by one pair of functions."""

import pytest

from eccmgr.text.hostport import host_port, read_bare, read_host_port


@pytest.mark.parametrize("host", ["h1", "10.1.1.1", "::1", "fe80::1%eth0", "2001:db8::7", "*"])
def test_what_is_made_is_read_again(host: str) -> None:
    assert read_host_port(host_port(host, 7)) == (host, 7)
    assert read_bare(f"{host}:7") == read_bare(host_port(host, 7)) == (host, 7)


def test_port_may_be_missing_only_with_a_default() -> None:
    assert read_host_port("[::1]", 6379) == ("::1", 6379)
    with pytest.raises(ValueError, match="its port is missing"):
        read_host_port("[::1]")


def test_port_0_is_for_listeners() -> None:
    assert read_host_port("h1:0", lowest=0) == ("h1", 0)
    with pytest.raises(ValueError, match="not a number from 1 to 65535"):
        read_host_port("h1:0", 6379)
