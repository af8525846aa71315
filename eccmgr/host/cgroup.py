"""What the control group of this process may use, so that a daemon in a container tells of the container and not of its
host. Versions 2 and 1 of the kernel's interface."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_MEMORY_FILES = {
    "memory.max": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}
"""By the file with the limit: the file with what is used, and the part of it that the kernel would give back first."""


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """The limits of a control group; None if there is no such limit.

    `used_bytes` is what the group with the lowest limit on memory uses, without what the kernel would give back first.
    """

    memory_bytes: int | None = None
    used_bytes: int = 0
    processors: float | None = None


def group_limits(host_bytes: int, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> GroupLimits:
    """The lowest limits of this process's control group and of those above it.

    A limit of `host_bytes` or more is none. What cannot be read sets no limit.
    """
    memory_bytes, used_bytes, processors = host_bytes, 0, None
    for folder in _folders(root, membership):
        for limit_file, (used_file, given_back) in _MEMORY_FILES.items():
            limit = _number(folder / limit_file)
            if limit is not None and limit < memory_bytes:
                used = (_number(folder / used_file) or 0) - _field(folder / "memory.stat", given_back)
                memory_bytes, used_bytes = limit, max(0, used)
        share = _processors(folder)
        if share is not None:
            processors = share if processors is None else min(processors, share)
    limit_bytes = memory_bytes if memory_bytes < host_bytes else None
    return GroupLimits(limit_bytes, used_bytes, processors)


def _folders(root: Path, membership: Path) -> Iterator[Path]:
    """The folders of the group and of those above it, for memory and for processors."""
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops = [root, root / "unified"]
        elif {"memory", "cpu"} & set(controllers.split(",")):
            tops = [root / controllers, *(root / controller for controller in controllers.split(","))]
        else:
            continue
        # A container may see the path of its group on the host, but the folders of its own group only: at the top.
        group = Path(path.lstrip("/"))
        for top in tops:
            yield from (top / above for above in (group, *group.parents) if ".." not in above.parts)


def _processors(folder: Path) -> float | None:
    quota, period = _text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip()
    if not quota:
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return None
    return round(int(quota) / int(period), 2)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _field(file: Path, name: str) -> int:
    for line in _text(file).splitlines():
        field, _, value = line.partition(" ")
        if field == name and value.isdigit():
            return int(value)
    return 0


def _text(file: Path) -> str:
    try:
        return file.read_text()[:65536]
    except (OSError, ValueError):
        return ""
