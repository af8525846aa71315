"""The version of eccmgr, the revision that it was built from, and the banner that shows both."""

from functools import cache
from pathlib import Path

__version__ = "0.2.0"

_PACKAGE = Path(__file__).resolve().parent


@cache
def revision() -> str:
    """The short hash of the running commit: written at packaging, else read from the checkout, else `unknown`."""
    packaged = _PACKAGE / "_revision"
    if packaged.is_file():
        return packaged.read_text().strip()
    return _checkout_revision(_PACKAGE.parent / ".git") or "unknown"


def full_version() -> str:
    """The version and revision that a member's record states: `0.2.0 r(ab12cd3)`."""
    return f"{__version__} r({revision()})"


@cache
def banner(program: str) -> str:
    """The greeting of `program` (`eccmgr` or `ecnode`); monitoring checks match `PROGRAM version: .*`."""
    rule = "#" * 46
    return "\n".join(
        (
            rule,
            f"# {program} version: {full_version()}",
            "# Copyright (c) 2026 the eccmgr authors",
            "# Licensed under the Apache License 2.0",
            rule,
        )
    )


def _checkout_revision(git: Path) -> str | None:
    """The commit that `git/HEAD` names, without running git; None outside a checkout."""
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:7]
        ref = head.removeprefix("ref: ")
        if (git / ref).is_file():
            return (git / ref).read_text().strip()[:7]
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(f" {ref}"):
                return line[:7]
    except OSError:
        pass
    return None
