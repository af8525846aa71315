"""Signed statements, and a node's checks of them."""

import base64
import dataclasses
import datetime as dt
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eccmgr.access.keys import SigningKey
from eccmgr.access.recipient import Recipient
from eccmgr.access.statements import (
    CommandStatement,
    PaceStatement,
    ReleaseStatement,
    ScheduleStatement,
    Signed,
    SignedStatement,
    WithdrawalStatement,
    signed,
    signed_bytes,
)
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys

NOW = 1_795_000_000_000
UNTIL = dt.date(2027, 11, 28)
KEY = SigningKey(b"a" * 32, "m1", UNTIL)
OTHER = SigningKey(b"b" * 32, "m2", UNTIL)
TRUST = TrustedKeys([KEY.public])
RECIPIENT = Recipient("East1", lambda: "east", NOW - 60_000, lambda names: "east1" in names.split(","))
COMMAND = CommandStatement(c="lab", id="01", t=("all",), x="uptime", u="unix:tom", iat=NOW, exp=NOW + 60_000)


def opened(statement: Signed, kind: type[SignedStatement] = CommandStatement, now: int = NOW) -> SignedStatement:
    return TRUST.open(statement, kind, "lab", now)


def changed(**values: object) -> CommandStatement:
    return msgspec.structs.replace(COMMAND, **values)


def test_statement_is_read_as_it_was_signed() -> None:
    sent = signed(COMMAND, KEY)
    assert opened(sent) == msgspec.structs.replace(COMMAND, kid=KEY.public.kid)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (signed(COMMAND, OTHER), "not trusted"),
        (Signed(signed(COMMAND, KEY).env, signed(changed(id="02"), KEY).sig), "does not fit"),
        (Signed(signed(COMMAND, KEY).env.replace(b"uptime", b"reboot"), signed(COMMAND, KEY).sig), "does not fit"),
        (Signed(signed(COMMAND, KEY).env, b""), "does not fit"),
        (Signed(b" " + signed(COMMAND, KEY).env, signed(COMMAND, KEY).sig), "does not fit"),
        (signed(changed(c="elsewhere"), KEY), "for the cluster 'elsewhere'"),
        (Signed(b"[]", b""), "cannot be read"),
        (Signed(b"\xff", b""), "cannot be read"),
        (Signed(b"[" * 50_000, b""), "cannot be read"),
        (Signed(b" " * 65_537, b""), "has 65537 bytes"),
    ],
)
def test_statement_that_nobody_trusted_signed_is_refused(sent: Signed, reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        opened(sent)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_any_changed_bit_makes_a_statement_a_forgery(place: int, bit: int) -> None:
    sent = signed(COMMAND, KEY)
    for part in Signed._fields:
        raw = bytearray(getattr(sent, part))
        raw[place % len(raw)] ^= 1 << bit
        with pytest.raises(NotAuthentic):
            opened(sent._replace(**{part: bytes(raw)}))


@pytest.mark.parametrize(
    ("true", "forged"),
    [
        (b'"v":1', b'"v":2'),
        (b'"v":1', b'"v":"1"'),
        (b'"v":1', b'"v":true'),
        (b'"k":"cmd"', b'"k":"CMD"'),
        (b'"k":"cmd"', b'"k":"rel"'),
        (b'"id":"01"', b'"id":1'),
        (b'"id":"01"', b'"id":null'),
        (b'"id":"01"', b'"id":"' + b"0" * 257 + b'"'),
        (b'"t":["all"]', b'"t":"all"'),
        (b'"t":["all"]', b'"t":[1]'),
        (b'"x":"uptime"', b'"x":["uptime"]'),
        (b'"u":"unix:tom"', b'"u":null'),
        (b'"iat":', b'"iat":"1","was":'),
        (b'"iat":', b'"iat":-'),
        (b'"iat":', b'"iat":0.5,"iat":1e999,"was":'),
        (b'"exp":', b'"exp":1' + b"0" * 30 + b',"was":'),
        (b'"x":"uptime"', b'"x":"\\ud800"'),
        (b'"x":"uptime"', b'"x":"\xff"'),
        (b"}", b"}}"),
        (b"}", b'} {"x":"shutdown"}'),
        (b"{", b"[{"),
        (b"{", b"\xef\xbb\xbf{"),
        (b'"b"', b'"B"'),
    ],
)
def test_signed_statement_of_another_form_is_refused(true: bytes, forged: bytes) -> None:
    env = signed(changed(b=True), KEY).env.replace(true, forged, 1)
    made = Signed(env, KEY.sign(signed_bytes(CommandStatement, env)))
    with pytest.raises(NotAuthentic, match="cannot be read"):
        opened(made)


def test_key_named_in_capitals_is_not_trusted() -> None:
    kid = KEY.public.kid.encode()
    assert kid != kid.upper()
    env = signed(COMMAND, KEY).env.replace(kid, kid.upper())
    with pytest.raises(NotAuthentic, match="not trusted"):
        opened(Signed(env, KEY.sign(signed_bytes(CommandStatement, env))))


@pytest.mark.parametrize(
    "written",
    [
        lambda kept: kept.rstrip(b"="),
        lambda kept: kept + b"=",
        lambda kept: kept + b"\n",
        lambda kept: b" " + kept,
        lambda kept: kept[:40] + b"\n" + kept[40:],
        lambda kept: base64.urlsafe_b64encode(base64.b64decode(kept)),
        lambda kept: kept + kept,
        lambda kept: b"\0" + kept,
        lambda kept: b"\xc3\xa9" + kept,
        lambda kept: base64.b64decode(kept).hex().encode(),
    ],
)
def test_signature_written_otherwise_does_not_count(written: Callable[[bytes], bytes]) -> None:
    # A signature with both letters that the alphabet for addresses writes otherwise.
    numbers = iter(range(10_000))
    sent = next(s for number in numbers if {*b"+/"} <= {*(s := signed(changed(id=f"{number}"), KEY)).kept[1]})
    env, sig = sent.kept
    assert Signed.read(env, sig) == sent
    for given_sig in (written(sig), written(sig).decode("utf-8", "replace")):
        try:
            read = Signed.read(env, given_sig)
        except ValueError:
            continue
        with pytest.raises(NotAuthentic):
            opened(read)


def test_statement_that_was_opened_is_checked_again() -> None:
    sent = signed(COMMAND, KEY)
    assert opened(sent) == opened(sent)
    refused = [
        lambda: TrustedKeys([OTHER.public]).open(sent, CommandStatement, "lab", NOW),
        lambda: TrustedKeys().open(sent, CommandStatement, "lab", NOW),
        lambda: TRUST.open(sent, CommandStatement, "elsewhere", NOW),
        lambda: TRUST.open(sent, CommandStatement, "lab", NOW + 400 * 86_400_000),
        lambda: TRUST.open(sent, WithdrawalStatement, "lab", NOW),
        lambda: TRUST.open(sent, CommandStatement, "lab", NOW, longest=10),
        lambda: TRUST.open(sent._replace(sig=sent.sig[:-1]), CommandStatement, "lab", NOW),
        lambda: TRUST.open(sent._replace(sig=b""), CommandStatement, "lab", NOW),
    ]
    for attempt in refused:
        with pytest.raises(NotAuthentic):
            attempt()
    # The same key under a shorter life is another key.
    shorter = dataclasses.replace(KEY.public, until=dt.date(2020, 1, 1))
    with pytest.raises(NotAuthentic, match="ended on 2020-01-01"):
        TrustedKeys([shorter]).open(sent, CommandStatement, "lab", NOW)


def test_one_kind_never_takes_the_place_of_another() -> None:
    kinds: list[SignedStatement] = [
        COMMAND,
        ReleaseStatement(c="lab", id="01", of="0" * 64, nodes=("east1",), iat=NOW, exp=NOW + 1),
        PaceStatement(c="lab", id="01", of="0" * 64, pace="3 1"),
        WithdrawalStatement(c="lab", id="01", u="unix:tom", iat=NOW, exp=NOW + 1),
        ScheduleStatement(c="lab", id="01", owner="", x="uptime", u="unix:tom", when="every 3", created=NOW, until=NOW),
    ]
    for made in kinds:
        for kind in map(type, kinds):
            if kind is not type(made):
                with pytest.raises(NotAuthentic, match="does not fit"):
                    opened(signed(made, KEY), kind)


def test_key_that_has_ended_signs_nothing() -> None:
    end = int(dt.datetime(2027, 11, 29, tzinfo=dt.UTC).timestamp() * 1000)
    opened(signed(COMMAND, KEY), now=end - 1)
    with pytest.raises(NotAuthentic, match="ended on 2027-11-28"):
        opened(signed(COMMAND, KEY), now=end)


def test_unknown_field_makes_a_statement_unreadable() -> None:
    env = signed(COMMAND, KEY).env.replace(b'"v":1', b'"v":1,"w":2')
    sent = Signed(env, KEY.sign(b"eccmgr/1/cmd\0" + env))
    with pytest.raises(NotAuthentic, match="cannot be read"):
        opened(sent)


@pytest.mark.parametrize(
    "target", [("all",), ("sub", "EAST"), ("node", "east1"), ("set", "east1,east2")], ids=lambda target: target[0]
)
def test_command_for_this_node_is_accepted(target: tuple[str, ...]) -> None:
    RECIPIENT.check(changed(t=target), "01", NOW)


@pytest.mark.parametrize(
    "target",
    [
        ("sub", "west"),
        ("node", "east2"),
        ("set", "east2"),
        (),
        ("all", "x"),
        ("every",),
        ("node",),
        ("node", "east1", ""),
    ],
)
def test_command_for_others_is_refused(target: tuple[str, ...]) -> None:
    with pytest.raises(NotAuthentic, match="not for this node"):
        RECIPIENT.check(changed(t=target), "01", NOW)


def test_set_that_is_none_is_refused() -> None:
    def holds(names: str) -> bool:
        raise ValueError(names)

    with pytest.raises(NotAuthentic, match="not for this node"):
        dataclasses.replace(RECIPIENT, holds=holds).check(changed(t=("set", "[[")), "01", NOW)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"iat": NOW + 37_000, "exp": NOW + 60_000}, "sent 37 s in the future"),
        ({"iat": NOW - 50_000, "exp": NOW - 1}, "expired 1 s ago"),
        ({"exp": NOW + 3_600_001}, "longer than an hour"),
        ({"iat": NOW - 60_001}, "before this node's process began"),
    ],
)
def test_command_of_another_time_is_refused(values: dict[str, int], reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        RECIPIENT.check(changed(**values), "01", NOW)


def test_clock_five_seconds_ahead_is_borne() -> None:
    RECIPIENT.check(changed(iat=NOW + 5_000), "01", NOW)


def test_signed_id_is_the_one_that_counts() -> None:
    with pytest.raises(NotAuthentic, match="its id is 02, but 01 was signed"):
        RECIPIENT.check(COMMAND, "02", NOW)


def test_release_holds_for_its_command_and_nodes() -> None:
    command = signed(COMMAND, KEY)
    release = ReleaseStatement(c="lab", id="01", of=command.digest, nodes=("east1",), iat=NOW, exp=NOW + 9)
    RECIPIENT.check_release(release, COMMAND, command.digest, NOW)
    for values, reason in (
        ({"id": "02"}, "another command"),
        ({"of": "0" * 64}, "another command"),
        ({"nodes": ("east2",)}, "other nodes"),
        ({"exp": NOW - 1}, "expired"),
    ):
        with pytest.raises(NotAuthentic, match=reason):
            RECIPIENT.check_release(msgspec.structs.replace(release, **values), COMMAND, command.digest, NOW)


def test_release_names_at_most_200_nodes() -> None:
    many = ReleaseStatement(c="lab", id="01", of="0" * 64, nodes=("n",) * 201, iat=NOW, exp=NOW + 9)
    with pytest.raises(NotAuthentic, match="cannot be read"):
        opened(signed(many, KEY), ReleaseStatement)
