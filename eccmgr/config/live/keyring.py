"""The keys of a daemon: its own key, which signs, and the keys of the managers that it trusts."""

from pathlib import Path

from eccmgr.access.authority import Authority
from eccmgr.access.keys import read_signing_key
from eccmgr.access.signer import Signer
from eccmgr.cluster.publishing import wall_clock_ms
from eccmgr.config.live.effective import ScopeView
from eccmgr.config.live.trusted_keys import TrustedKeysPart
from eccmgr.settings import DaemonSettings


class Keyring:
    """The keys of a daemon of `cluster`.

    `own` is read once, at the start; None without a key. `trusted` is a part, which follows the configuration.
    `authority` has both: it signs schedules, and tells whose signatures count.
    """

    def __init__(self, settings: DaemonSettings, view: ScopeView, cluster: str) -> None:
        """Raises SettingsError and ConfigError for a key that cannot be read."""
        self.trusted = TrustedKeysPart(view, "trusted_managers", settings.trusted_manager, "--trusted-manager")
        path = settings.signing_key or view.scope("cluster").text("signing_key")
        self.own = read_signing_key(Path(path)) if path else None
        self.authority = Authority(Signer(self.own, cluster, wall_clock_ms), lambda: self.trusted.keys)
