"""Writes docs/licences.md from the lock: `python -m ops.release.licences FILE`."""

import sys
from pathlib import Path

from ops.release.lock import LOCK, LockedPackage, licence_of, locked_packages

_HEAD = """# Licences of third parties

Written by `make reference` from `requirements.txt`. eccmgr itself is under the Apache License 2.0. A wheel of eccmgr
contains none of these packages; pip installs them. A `.deb` and an image contain them, each with its file of licence
(`/opt/eccmgr/lib/python3.*/site-packages/PACKAGE.dist-info/`). Each licence is named by its identifier in SPDX.

| package | version | licence |
|---|---|---|
"""


def page() -> str:
    """The page in Markdown."""
    return _HEAD + "".join(map(_row, locked_packages(LOCK.read_text())))


def _row(package: LockedPackage) -> str:
    where = f" (only where {package.marker.replace('|', ' or ')})" if package.marker else ""
    return f"| {package.name}{where} | {package.version} | {licence_of(package.name)} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
