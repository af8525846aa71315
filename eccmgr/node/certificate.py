"""A node's certificate: reads it from its file, and shows it to managers through Redis."""

import asyncio
from pathlib import Path

from eccmgr.access.certificates import LONGEST_LINE, Certificate
from eccmgr.access.keys import SigningKey
from eccmgr.errors import EccmgrError, SettingsError
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys

_AGAIN_S = 10.0
"""A certificate that Redis has lost is back within this time."""
_RETRY_S = 5.0
_KEPT_MS = 30 * 86_400_000


def read_certificate(path: Path, node: str, key: SigningKey | None) -> Certificate:
    """Read the certificate of `node` and its `key`. Raises SettingsError if the certificate is for another node or
    key."""
    try:
        with path.open("rb") as file:
            certificate = Certificate.parse(file.read(LONGEST_LINE))
        said = certificate.unverified()
    except OSError as error:
        raise SettingsError(f"The certificate {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path} holds no certificate: {error}") from None
    if said.name.lower() != node.lower():
        raise SettingsError(f"The certificate {path} is for the node {said.name}, not for {node}")
    if key is None or key.public.raw not in {public.raw for public in certificate.named_keys()}:
        raise SettingsError(f"The certificate {path} is for another key than this node's signing_key")
    return certificate


async def show_certificate(link: Link, keys: Keys, node: str, certificate: Certificate) -> None:
    """Keep the certificate in Redis, where managers read it, until cancelled."""
    while True:
        try:
            await link.call("SET", keys.certificate(node), certificate.line, "PX", _KEPT_MS)
        except EccmgrError:
            await asyncio.sleep(_RETRY_S)
        else:
            await asyncio.sleep(_AGAIN_S)
