"""The way in which `ec_logger` names a log that managers collect: `cluster:///PATH=>SUBSCRIBER`."""

from __future__ import annotations

from typing import NamedTuple

from eccmgr.errors import ConfigError
from eccmgr.text.naming import ALLOWED, is_plain_name

EVERY_MANAGER = "master"
"""The subscriber as whom every manager collects logs unless its configuration says otherwise."""

_BEGINS = "cluster://"
_QUERY = "?subscribers="


class ClusterLog(NamedTuple):
    """The file of a log, and who collects it; nobody if the file is only written."""

    path: str
    subscribers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ClusterLog:
        """Read `cluster:///PATH`, `cluster:///PATH=>SUBSCRIBER,…` or `cluster:///PATH?subscribers=SUBSCRIBER,…`.

        Any other text is a path alone. Raises ConfigError.
        """
        if not text.lower().startswith(_BEGINS):
            return cls(text)
        path, arrow, named = text[len(_BEGINS) :].partition("=>")
        if not arrow:
            path, _, named = path.partition(_QUERY)
        if not path.startswith("/") or path.endswith("/"):
            raise ConfigError(f"{text}: expected cluster:///PATH=>SUBSCRIBER with an absolute path of a file")
        subscribers = tuple(dict.fromkeys(filter(None, (name.strip() for name in named.split(",")))))
        check_subscribers(text, subscribers)
        return cls(path, subscribers or (EVERY_MANAGER,))


def check_subscribers(where: str, subscribers: tuple[str, ...]) -> None:
    """Raises ConfigError for a subscriber that has no plain name."""
    for name in subscribers:
        if not is_plain_name(name):
            raise ConfigError(f"{where}: '{name}' is no name of a subscriber: {ALLOWED}")
