"""The path of a collected log, made of the option `logfile`. Pure."""

import re
import time
from pathlib import PurePosixPath

from eccmgr.errors import ConfigError
from eccmgr.logs.collection.safe_names import safe_name

_NAMED = re.compile(r"%\{([^}]*)\}")
_NEEDED = {"l": "the log", "n": "the node"}
_KNOWN = (*_NEEDED, "s")
_TIMES = frozenset("YymdHjUWVGuabBAeFCg%")
"""The letters behind a % of strftime that a path may have: nothing finer than an hour."""


class Template:
    """The option `logfile`: strftime, with %{l} for the log, %{s} for the subcluster and %{n} for the node."""

    def __init__(self, text: str, *, utc: bool = True) -> None:
        """Raises ConfigError."""
        self.text, self.utc = text, utc
        named = _NAMED.findall(text)
        for name in named:
            if name not in _KNOWN:
                raise ConfigError(
                    f"'%{{{name}}}' is unknown; expected %{{l}} (log), %{{s}} (subcluster), %{{n}} (node)"
                )
        for name, what in _NEEDED.items():
            if name not in named:
                raise ConfigError(f"expected %{{{name}}} ({what}) in the path: else several logs would share a file")
        if not text.startswith("/") or text.endswith("/") or ".." in PurePosixPath(text).parts:
            raise ConfigError("expected the absolute path of a file, without '..'")
        bare = _NAMED.sub("", text)
        if bad := next((found for found in re.findall(r"%(.?)", bare) if found not in _TIMES or not found), None):
            raise ConfigError(f"'%{bad}' is not among the times that a path may have: %Y %m %d %H …")
        if bare.endswith("%") and not bare.endswith("%%"):
            raise ConfigError("the path ends with a single '%'")
        self._parts = _NAMED.split(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and (self.text, self.utc) == (other.text, other.utc)

    def __hash__(self) -> int:
        return hash((self.text, self.utc))

    @property
    def root(self) -> str:
        """The folder that holds every file of this template: its path up to the first part that varies."""
        fixed = self.text.partition("%")[0]
        return fixed.rpartition("/")[0] or "/"

    def path(self, log: str, subcluster: str, node: str, wall_ms: int) -> str:
        """The path for lines of that time. Names are made safe."""
        moment = (time.gmtime if self.utc else time.localtime)(min(max(0, wall_ms), 1 << 47) / 1000)
        names = {"l": safe_name(log), "s": safe_name(subcluster or "default"), "n": safe_name(node)}
        parts = (
            names[part] if at % 2 else (time.strftime(part, moment) if "%" in part else part)
            for at, part in enumerate(self._parts)
        )
        return "".join(parts)
