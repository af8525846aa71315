"""The facts that a node states about itself as tags: its system, its versions, its processor."""

import functools
import platform

from eccmgr.text.tags import Tags, as_value
from eccmgr.version import __version__


@functools.cache
def facts() -> Tags:
    """The facts of this process, by the names in `eccmgr.text.tags.FACTS`."""
    return {
        "os": as_value(platform.system().lower()),
        "version": as_value(__version__),
        "python": as_value(platform.python_version()),
        "arch": as_value(platform.machine()),
    }
