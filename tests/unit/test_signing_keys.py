"""Keys: their lines, their files, their signatures, and the secrets that they share."""

import datetime as dt
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.keys import PublicKey, SigningKey, read_signing_key, write_key_files
from eccmgr.errors import SettingsError

UNTIL = dt.date(2027, 11, 28)
END_MS = int(dt.datetime(2027, 11, 29, tzinfo=dt.UTC).timestamp() * 1000)
seeds = st.binary(min_size=32, max_size=32)


def key(seed: bytes = b"a" * 32, name: str = "m1") -> SigningKey:
    return SigningKey(seed, name, UNTIL)


@given(seeds)
def test_lines_of_keys_are_read_back(seed: bytes) -> None:
    made = key(seed)
    assert PublicKey.parse(str(made.public)) == made.public
    assert SigningKey.parse(made.line()).public == made.public


def test_public_line_has_name_and_last_day() -> None:
    assert str(key().public).startswith("ed25519:")
    assert str(key().public).endswith(" m1 until 2027-11-28")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ed25519:AAAA m1 until 2027-11-28",
        "ed25519:!! m1 until 2027-11-28",
        f"{key().public} more",
        str(key().public).replace("until", "from"),
        str(key().public).replace("m1", "../m1"),
        str(key().public).replace("2027-11-28", "2027-13-28"),
        str(key().public).replace("2027-11-28", "9999-12-31"),
        key().line(),
    ],
)
def test_broken_public_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PublicKey.parse(line)


def test_fault_of_private_line_never_shows_it() -> None:
    broken = key().line().replace("until", "til")
    with pytest.raises(ValueError, match="a key is written as") as fault:
        SigningKey.parse(broken)
    assert broken.split()[0].split(":")[1] not in str(fault.value)


def test_key_counts_to_end_of_its_last_day() -> None:
    public = key().public
    assert public.counts_at(END_MS - 1)
    assert not public.counts_at(END_MS)
    assert public.days_left(END_MS - 1) == 0
    assert public.days_left(END_MS) == 0
    assert public.days_left(END_MS + 1) == -1


@given(seeds, st.binary(), st.binary(max_size=80))
def test_only_its_own_signature_fits(seed: bytes, data: bytes, other: bytes) -> None:
    made = key(seed)
    signature = made.sign(data)
    for _ in range(2):  # the second result comes from the cache
        assert made.public.verify(signature, data)
    assert not made.public.verify(signature, data + b".")
    assert not made.public.verify(other, data)
    assert not made.public.verify(signature + other, data) or not other


def test_parts_of_remembered_signatures_are_not_mixed() -> None:
    made = key()
    signature = made.sign(b"xy")
    assert made.public.verify(signature, b"xy")
    assert not made.public.verify(signature + b"x", b"y")
    assert not made.public.verify(signature[:-1], signature[-1:] + b"xy")


@given(seeds, seeds)
def test_both_sides_share_one_secret(one: bytes, other: bytes) -> None:
    left, right = key(one), key(other)
    assert left.shared_with(right.public, b"p") == right.shared_with(left.public, b"p")
    assert left.shared_with(right.public, b"p") != left.shared_with(right.public, b"q")


@given(seeds)
def test_agreement_key_is_the_mapped_point(seed: bytes) -> None:
    # The private half maps by a rule of its own (RFC 8032, section 5.1.5). Both halves have to give the same.
    import hashlib

    private = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
    assert key(seed).public.agreement_key.public_bytes_raw() == private.public_key().public_bytes_raw()


def test_key_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    private, public = write_key_files(tmp_path, key())
    assert (private.name, private.stat().st_mode & 0o777) == ("m1.key", 0o400)
    assert (public.name, public.stat().st_mode & 0o777) == ("m1.pub", 0o444)
    assert read_signing_key(private).public == key().public
    assert PublicKey.parse(public.read_text()) == key().public


def test_key_file_is_never_replaced(tmp_path: Path) -> None:
    write_key_files(tmp_path, key())
    with pytest.raises(SettingsError, match="exists"):
        write_key_files(tmp_path, key(b"b" * 32))


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o420])
def test_key_file_that_others_read_is_refused(tmp_path: Path, mode: int) -> None:
    private, _ = write_key_files(tmp_path, key())
    if os.geteuid() == 0:
        os.chown(private, 0, 4321)
    private.chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:04o}"):
        read_signing_key(private)


@pytest.mark.skipif(os.geteuid() != 0, reason="a credential of systemd is root's")
def test_credential_of_systemd_is_read(tmp_path: Path) -> None:
    private, _ = write_key_files(tmp_path, key())
    os.chown(private, 0, 0)
    private.chmod(0o440)
    assert read_signing_key(private).public == key().public


def test_key_file_is_not_read_through_a_link(tmp_path: Path) -> None:
    private, _ = write_key_files(tmp_path, key())
    link = tmp_path / "link"
    link.symlink_to(private)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_signing_key(link)


def test_key_file_is_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o400)
    with pytest.raises(SettingsError, match="not a regular file"):
        read_signing_key(tmp_path / "pipe")
