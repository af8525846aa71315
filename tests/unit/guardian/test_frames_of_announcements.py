"""The frames that announce an address, and the frames that count as a claim."""

import pytest

from worker.guardian.announce import advertisement, claim, gratuitous_arp

MAC = bytes.fromhex("020000000001")


def test_a_gratuitous_arp_claims_the_address_before_all() -> None:
    frame = gratuitous_arp(MAC, "10.1.1.1")
    assert frame.hex() == "ffffffffffff020000000001080600010800060400010200000000010a0101010000000000000a010101"
    assert claim(frame) == ("10.1.1.1", MAC)


def test_an_advertisement_claims_the_address_before_all_nodes() -> None:
    frame = advertisement(MAC, "2001:db8::1")
    assert frame[:14].hex() == "33330000000102000000000186dd"
    assert claim(frame) == ("2001:db8::1", MAC)
    body = frame[14 + 8 : 14 + 40] + len(frame[54:]).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:]
    total = sum(int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF, "the checksum is wrong"


@pytest.mark.parametrize("length", range(0, 42, 6))
def test_a_cut_frame_claims_nothing(length: int) -> None:
    assert claim(gratuitous_arp(MAC, "10.1.1.1")[:length]) is None
    assert claim(advertisement(MAC, "2001:db8::1")[:length]) is None


def test_a_probe_for_an_address_claims_nothing() -> None:
    frame = bytearray(gratuitous_arp(MAC, "10.1.1.1"))
    frame[28:32] = bytes(4)
    assert claim(bytes(frame)) is None
