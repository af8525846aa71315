"""File systems for the targets, made for one run: one that can be filled, and one that can freeze. Only root can."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


def _done(*arguments: str) -> bool:
    return subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def small_disk(path: Path, mebibytes: int) -> Iterator[bool]:
    """A file system of that size at `path`; yields whether it could be made."""
    made = _done("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(path))
    try:
        yield made
    finally:
        if made:
            _done("umount", "-l", str(path))


def fill(path: Path, mebibytes: int = 0) -> None:
    """Leave a disk of `small_disk` no room, or with a size as much as that again."""
    status = os.statvfs(path)
    used_kib = (status.f_blocks - status.f_bfree) * status.f_frsize >> 10
    size = f"{mebibytes}m" if mebibytes else f"{max(4, used_kib)}k"
    subprocess.run(["mount", "-o", f"remount,size={size}", str(path)], stderr=subprocess.DEVNULL, check=True)


@contextlib.contextmanager
def freezing_disk(path: Path, mebibytes: int) -> Iterator[bool]:
    """A file system at `path` that `freeze` stops; yields whether it could be made."""
    image = path.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(mebibytes << 20)
    made = _done("mkfs.ext4", "-q", str(image)) and _done("mount", "-o", "loop", str(image), str(path))
    try:
        yield made
    finally:
        if made:
            thaw(path)
            _done("umount", "-l", str(path))


def freeze(path: Path) -> None:
    """From now on nobody who writes there goes on."""
    subprocess.run(["fsfreeze", "-f", str(path)], stderr=subprocess.DEVNULL, check=True)


def thaw(path: Path) -> None:
    """Whoever writes there goes on."""
    _done("fsfreeze", "-u", str(path))
