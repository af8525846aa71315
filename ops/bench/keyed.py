"""The keys of a signed cluster in a benchmark: any process can make them anew, without a file."""

import datetime as dt
import functools
import hashlib
import time
from pathlib import Path

from eccmgr.access.certificates import certify
from eccmgr.access.keys import SigningKey, write_key_files
from eccmgr.access.recipient import Recipient
from eccmgr.access.seals import AnswerSealer
from eccmgr.access.signer import Signer
from eccmgr.access.trusted_keys import TrustedKeys
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.cluster.vouching import Voucher
from eccmgr.node.authenticity import Authenticity

CLUSTER = "ec_cluster"
SUBCLUSTER = "default"
_UNTIL = dt.date(2999, 1, 1)
_END_MS = 32_000_000_000_000


def key_of(name: str) -> SigningKey:
    """The key of a manager, a node or the authority."""
    return SigningKey(hashlib.sha256(name.encode()).digest(), name, _UNTIL)


@functools.cache
def _trusted() -> TrustedKeys:
    return TrustedKeys([key_of("manager").public])


def _nobody() -> TrustedKeys:
    return TrustedKeys()


def certificate_of(name: str) -> str:
    """The certificate of a node, as a line."""
    return certify(key_of("authority"), CLUSTER, key_of(name).public, SUBCLUSTER, _END_MS).line


def manager_flags(folder: Path) -> tuple[str, ...]:
    """The flags of a manager that signs and verifies; its key is written into `folder`."""
    private, _ = write_key_files(folder, key_of("manager"))
    return "--signing-key", str(private), "--node-authority", str(key_of("authority").public)


def node_flags(folder: Path, name: str) -> tuple[str, ...]:
    """The flags of a node that trusts the manager and seals its answers; its files are written into `folder`."""
    private, _ = write_key_files(folder, key_of(name))
    certificate = folder / f"{name}.crt"
    certificate.write_text(certificate_of(name))
    trusted = str(key_of("manager").public)
    return "--signing-key", str(private), "--certificate", str(certificate), "--trusted-manager", trusted


def authenticity_of(name: str, *, signed: bool) -> Authenticity:
    """What a node believes: everything, or what the manager has signed."""
    recipient = Recipient(name, lambda: SUBCLUSTER, int(time.time() * 1000) - 1000, lambda _names: False)
    return Authenticity(CLUSTER, recipient, _trusted if signed else _nobody, wall_clock_ms)


def sealer_of(name: str, *, signed: bool) -> AnswerSealer:
    """What seals the answers of a node, if anything."""
    return AnswerSealer(key_of(name) if signed else None, CLUSTER, name, _trusted)


def voucher_of(name: str) -> Voucher:
    """What signs the sessions of a node."""
    return Voucher(Signer(key_of(name), CLUSTER, wall_clock_ms), name, lambda: False)
