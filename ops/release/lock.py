"""Reads requirements.txt, which locks every package that eccmgr runs with, and the licence that each states."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"

_PACKAGE = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.*?))? \\")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIERS = {
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
}
# The first two are for other Pythons and systems than ours, so they may not be installed here. The others state no
# expression of SPDX, or one word for several licences; their files of licence say this.
_READ_BY_US = {
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
    "google-re2": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "prompt-toolkit": "BSD-3-Clause",
    "psutil": "BSD-3-Clause",
    "python-dotenv": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "uvloop": "Apache-2.0 OR MIT",
}


@dataclass(frozen=True)
class LockedPackage:
    """One package of the lock."""

    name: str
    version: str
    marker: str
    """Where it is installed, as an environment marker; '' for everywhere."""
    hashes: tuple[str, ...]
    """The SHA-256 of each file that pip may install."""


def locked_packages(text: str) -> Iterator[LockedPackage]:
    """Yield the packages of a lock, in its order."""
    for entry in re.split(r"\n(?=[a-z])", text):
        if package := _PACKAGE.match(entry):
            hashes = tuple(_HASH.findall(entry))
            yield LockedPackage(package["name"], package["version"], package["marker"] or "", hashes)


def licence_of(name: str) -> str:
    """The SPDX expression of a package's licence. Raises ValueError if nobody has read it yet."""
    if name in _READ_BY_US:
        return _READ_BY_US[name]
    stated: Mapping[str, list[str]] = metadata.metadata(name).json  # type: ignore[assignment]
    if expression := stated.get("license_expression"):
        return str(expression)
    for classifier in stated.get("classifier", []):
        if classifier in _CLASSIFIERS:
            return _CLASSIFIERS[classifier]
    raise ValueError(f"{name} states no licence by an SPDX expression: read its file of licence, and name it here")
