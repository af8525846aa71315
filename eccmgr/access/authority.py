"""The key with which a daemon signs, and the keys whose signatures it accepts."""

from collections.abc import Callable

from eccmgr.access.signer import Signer
from eccmgr.access.trusted_keys import TrustedKeys


class Authority:
    """The signer of a daemon, and the keys that the daemon trusts: the keys of `trusted`, and its own."""

    def __init__(self, signer: Signer, trusted: Callable[[], TrustedKeys]) -> None:
        self.signer = signer
        self._trusted = trusted

    @property
    def keys(self) -> TrustedKeys:
        """The trusted keys, which may change at any time; empty if nothing has to be signed."""
        trusted = self._trusted()
        return trusted if self.signer.key is None else TrustedKeys((self.signer.key.public, *trusted.keys))

    @property
    def lacks_key(self) -> bool:
        """Whether this daemon demands signatures and cannot sign itself."""
        return self.signer.key is None and bool(self._trusted())
