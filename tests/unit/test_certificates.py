"""Certificates of nodes, and seals of their answers."""

import datetime as dt
import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.certificates import Certificate, certify
from eccmgr.access.keys import SigningKey
from eccmgr.access.seals import AnswerSealer, Mac, SealedAnswer, Secrets, is_sealed
from eccmgr.access.statements import Signed
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys

UNTIL = dt.date(2099, 1, 1)
NOW = 1_795_000_000_000
CA, MANAGER, OTHER = (SigningKey(seed * 32, name, UNTIL) for seed, name in ((b"c", "ca"), (b"m", "m1"), (b"o", "m2")))
NODE = SigningKey(b"n" * 32, "east1", UNTIL)
CERTIFICATE = certify(CA, "lab", NODE.public, "east", NOW + 1000)
TRUSTED = TrustedKeys([CA.public])
ANSWER = SealedAnswer("01", "ab" * 32, "#ec0-1#east1", "ok", 7, "s", b"marked")


def test_certificate_is_read_back_from_its_line() -> None:
    assert Certificate.parse(CERTIFICATE.line) == CERTIFICATE
    assert Certificate.parse(CERTIFICATE.line.encode() + b"\n") == CERTIFICATE


def test_certificate_names_the_key_of_its_node() -> None:
    assert CERTIFICATE.key_of("EAST1", "lab", TRUSTED, NOW) == NODE.public


@pytest.mark.parametrize(
    ("node", "cluster", "trusted", "now", "reason"),
    [
        ("east2", "lab", TRUSTED, NOW, "certificate is east1's"),
        ("east1", "other", TRUSTED, NOW, "for the cluster 'lab'"),
        ("east1", "lab", TrustedKeys([OTHER.public]), NOW, "not trusted"),
        ("east1", "lab", TRUSTED, NOW + 1001, "certificate has ended"),
    ],
)
def test_certificate_of_others_is_refused(node: str, cluster: str, trusted: TrustedKeys, now: int, reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        CERTIFICATE.key_of(node, cluster, trusted, now)


def test_changed_certificate_is_refused() -> None:
    forged = Certificate(Signed(CERTIFICATE.signed.env.replace(b"east1", b"east2"), CERTIFICATE.signed.sig))
    with pytest.raises(NotAuthentic, match="does not fit"):
        forged.key_of("east2", "lab", TRUSTED, NOW)


@given(st.text() | st.binary().map(lambda raw: f"certificate:{raw!r}:"))
def test_what_is_no_certificate_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Certificate.parse(line)


def test_each_manager_finds_its_own_seal() -> None:
    seals = AnswerSealer(NODE, "lab", "east1", lambda: TrustedKeys([MANAGER.public, OTHER.public])).seals(ANSWER)
    for manager in (MANAGER, OTHER):
        secret = Secrets(manager, "lab").with_other(NODE.public, "EAST1")
        assert is_sealed(ANSWER, seals, manager.public.kid, secret)
    stranger = SigningKey(b"s" * 32, "m3", UNTIL)
    assert not is_sealed(ANSWER, seals, stranger.public.kid, Secrets(stranger, "lab").with_other(NODE.public, "east1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "02"},
        {"of": "cd" * 32},
        {"private_name": "#ec0-2#east1"},
        {"state": "failed"},
        {"took_ms": 8},
        {"flags": "sz"},
        {"body": b"marked."},
        {"id": "", "of": "01" + "ab" * 32},
        {"id": f"{ANSWER.id}\n{ANSWER.of}", "of": ""},
        {"private_name": "\udcff"},
    ],
)
def test_seal_covers_all_that_an_answer_says(changes: dict[str, object]) -> None:
    seals = AnswerSealer(NODE, "lab", "east1", lambda: TrustedKeys([MANAGER.public])).seals(ANSWER)
    secret = Secrets(MANAGER, "lab").with_other(NODE.public, "east1")
    assert not is_sealed(ANSWER._replace(**changes), seals, MANAGER.public.kid, secret)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_mac_is_hmac_sha256(secret: bytes, message: bytes) -> None:
    mac = Mac(secret)
    assert mac.of(message) == hmac.new(secret, message, "sha256").hexdigest()
    assert mac.of(message) == mac.of(message)


def test_seals_follow_the_trusted_managers() -> None:
    trusted = [TrustedKeys([MANAGER.public])]
    sealer = AnswerSealer(NODE, "lab", "east1", lambda: trusted[-1])
    for managers in ([MANAGER], [OTHER], [OTHER, MANAGER], []):
        trusted.append(TrustedKeys([manager.public for manager in managers]))
        seals = sealer.seals(ANSWER)
        for manager in (MANAGER, OTHER):
            mac = Secrets(manager, "lab").with_other(NODE.public, "east1")
            assert is_sealed(ANSWER, seals, manager.public.kid, mac) is (manager in managers)


@pytest.mark.parametrize(
    "changed",
    [
        lambda seal: seal[:-1],
        lambda seal: seal + b"0",
        lambda seal: seal + b"\n",
        lambda seal: seal.upper(),
        lambda seal: seal[:-64] + b"0" * 64,
        lambda seal: seal[:-64],
        lambda seal: seal[17:],
        lambda seal: b"\xff" + seal,
        lambda _seal: b"",
        lambda seal: b" ".join([b"x"] * 64 + [seal]),
    ],
)
def test_changed_seal_does_not_fit(changed: Callable[[bytes], bytes]) -> None:
    seals = AnswerSealer(NODE, "lab", "east1", lambda: TrustedKeys([MANAGER.public])).seals(ANSWER)
    mac = Secrets(MANAGER, "lab").with_other(NODE.public, "east1")
    assert is_sealed(ANSWER, seals, MANAGER.public.kid, mac)
    assert not is_sealed(ANSWER, changed(seals), MANAGER.public.kid, mac)


def test_seal_of_another_node_does_not_fit() -> None:
    managers = TrustedKeys([MANAGER.public])
    secret = Secrets(MANAGER, "lab").with_other(NODE.public, "east1")
    for cluster, node in (("lab", "east2"), ("other", "east1")):
        seals = AnswerSealer(NODE, cluster, node, lambda: managers).seals(ANSWER)
        assert not is_sealed(ANSWER, seals, MANAGER.public.kid, secret)


def test_node_without_key_seals_nothing() -> None:
    assert AnswerSealer(None, "lab", "east1", lambda: TrustedKeys([MANAGER.public])).seals(ANSWER) == b""
