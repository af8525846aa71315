"""The limits of control groups, as the kernel shows them in both versions of its interface."""

from pathlib import Path

import pytest

from eccmgr.host.cgroup import GroupLimits, group_limits

HOST = 24 * 1024**3
MIB = 1024 * 1024


def limits(folder: Path, membership: str, **files: str) -> GroupLimits:
    """The limits for a process with this membership, where the kernel shows these `files`."""
    (folder / "self").write_text(membership)
    for name, text in files.items():
        file = folder / "fs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return group_limits(HOST, folder / "fs", folder / "self")


VERSION_2 = {
    "memory.max": f"{512 * MIB}\n",
    "memory.current": f"{100 * MIB}\n",
    "memory.stat": f"anon 5\ninactive_file {20 * MIB}\n",
    "cpu.max": "50000 100000\n",
}
VERSION_1 = {
    "memory/memory.limit_in_bytes": f"{512 * MIB}\n",
    "memory/memory.usage_in_bytes": f"{100 * MIB}\n",
    "memory/memory.stat": f"total_inactive_file {30 * MIB}\n",
    "cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
    "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}
NESTED = {
    "system.slice/eccmgr.service/memory.max": f"{900 * MIB}\n",
    "system.slice/memory.max": f"{300 * MIB}\n",
    "system.slice/memory.current": f"{200 * MIB}\n",
}


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", VERSION_2, GroupLimits(512 * MIB, 80 * MIB, 0.5)),
        (
            "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            VERSION_1,
            GroupLimits(512 * MIB, 70 * MIB, 1.5),
        ),
        ("0::/system.slice/eccmgr.service\n", NESTED, GroupLimits(300 * MIB, 200 * MIB, None)),
    ],
    ids=["version 2", "version 1", "the lowest above a unit"],
)
def test_limits_are_those_that_the_kernel_shows(
    tmp_path: Path, membership: str, files: dict[str, str], expected: GroupLimits
) -> None:
    assert limits(tmp_path, membership, **files) == expected


@pytest.mark.parametrize("limit", ["max", str(HOST), "9223372036854771712", "", "junk", "-1"])
def test_no_limit_is_none(tmp_path: Path, limit: str) -> None:
    files = {"memory.max": limit, "cpu.max": "max 100000", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}
    assert limits(tmp_path, "0::/\n4:memory:/a\n:\n\n1:cpu:/../..\n", **files) == GroupLimits()


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert group_limits(HOST, tmp_path / "none", tmp_path / "none") == GroupLimits()
