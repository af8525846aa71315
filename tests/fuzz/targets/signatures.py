"""Keys, certificates and signed statements: nothing counts that a trusted key has not signed."""

import datetime as dt

from eccmgr.access.certificates import Certificate
from eccmgr.access.keys import PublicKey, SigningKey
from eccmgr.access.recipient import Recipient
from eccmgr.access.statements import (
    CommandStatement,
    NodeCertificate,
    PaceStatement,
    ReleaseStatement,
    ScheduleStatement,
    Signed,
    SignedStatement,
    WithdrawalStatement,
    signed_bytes,
)
from eccmgr.access.trusted_keys import NotAuthentic, TrustedKeys
from eccmgr.cluster.nodeset import members
from tests.fuzz.target import fuzzed, in_two, text_of

_NOW_MS = 1_800_000_000_000
_KEYS = TrustedKeys([PublicKey(bytes(32), "pono", dt.date(2030, 1, 1))])
_OWN = SigningKey(bytes(range(32)), "pono", dt.date(2030, 1, 1))
_OWN_KEYS = TrustedKeys([_OWN.public])
_KINDS = (CommandStatement, ReleaseStatement, PaceStatement, NodeCertificate, ScheduleStatement, WithdrawalStatement)
_FIELDS = (b'{"v":1,"c":"c","kid":"', b'"id":"01"', b'"t":["all"]', b'"exp":', b"}")


@fuzzed(ValueError, words=(b"ed25519:", b" pono until ", b"2030-01-01", b"A" * 43 + b"="))
def key_line(data: bytes) -> None:
    """A line with a key is written back as it was."""
    text = text_of(data)
    try:
        SigningKey.parse(text)
    except ValueError:
        key = PublicKey.parse(text)
        assert PublicKey.parse(str(key)) == key
        key.days_left(_NOW_MS)


@fuzzed(ValueError, words=(b"certificate:", b":", b"eyJ2Ijox", b"=="))
def certificate_line(data: bytes) -> None:
    """A certificate is written back as it was, and none counts that the authority has not signed."""
    certificate = Certificate.parse(data)
    assert Certificate.parse(certificate.line) == certificate
    try:
        certificate.key_of("east1", "c", _KEYS, _NOW_MS)
    except NotAuthentic:
        certificate.named_keys()
        return
    raise AssertionError("nobody has signed it")


@fuzzed(
    ValueError,
    words=(*_FIELDS, _KEYS.keys[0].kid.encode()),
)
def signed_statement(data: bytes) -> None:
    """Bytes that no trusted key has signed are not authentic, whatever they say."""
    env, sig = in_two(data)
    signed = Signed.read(env, sig)
    for kind in (CommandStatement, ReleaseStatement, NodeCertificate):
        try:
            _KEYS.open(signed, kind, "c", _NOW_MS)
        except NotAuthentic:
            continue
        raise AssertionError("nobody has signed it")


@fuzzed(NotAuthentic, words=(*_FIELDS, _OWN.public.kid.encode(), b'"k":"cmd"', b'"x":"pid"', b'"u":"root"', b'"iat":'))
def statement_of_ours(data: bytes) -> None:
    """Bytes that a trusted key has signed are read strictly, as one kind of statement only."""
    opened: list[SignedStatement] = []
    for kind in _KINDS:
        try:
            opened.append(_OWN_KEYS.open(Signed(data, _OWN.sign(signed_bytes(kind, data))), kind, "c", _NOW_MS))
        except NotAuthentic:
            continue
    assert len(opened) <= 1
    recipient = Recipient("east1", lambda: "east", _NOW_MS, lambda folded: "east1" in members(folded))
    for statement in opened:
        if isinstance(statement, CommandStatement):
            recipient.check(statement, statement.id, _NOW_MS)
        elif isinstance(statement, ReleaseStatement | WithdrawalStatement):
            recipient.check_times(statement, _NOW_MS)
