"""The files that a console may name, and how they are read and written."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from eccmgr.config.files.disk import DiskFiles
from eccmgr.config.live.store import MAX_EXPORTS, Store
from eccmgr.config.live.transaction import ConfigSession
from tests.unit.config.console import Console, Opened, write

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
TEXT = 'Password = s3cret\nfoo { x = 1 }\ncluster { fence = none }\nLocal_Changes_File = "local.conf"\n'


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "../etc/b.conf",
        "{folder}/../etc/b.conf",
        "/proc/self/root{folder}/b.conf",
        "link/b.conf",
        "{folder}/link/b.conf",
        "sub/b.conf",
        "./sub/b.conf",
        "b.conf/",
        "token",
        ".b.conf",
        ".conf",
        "..",
        "{folder}",
    ],
)
def test_path_outside_of_the_folder_tells_nothing(console_on: Opened, folder: Path, path: str) -> None:
    (folder / "etc").mkdir()
    console = console_on({"etc/main.conf": TEXT, "etc/b.conf": TEXT, "etc/token": "ghp_Secret", "sub/b.conf": "x = 1"})
    main = Path(console.store.main or "").parent
    (main / "link").symlink_to(main)
    before = console.ok("config showrecurse")
    named = path.format(folder=main)
    for command in ("reload", "writeback", "writeback --force"):
        refusal = console.refused(f"config {command} {named}")
        assert f"Not a file that a console may name, expected NAME.conf in {main}" in refusal
        assert "ghp_Secret" not in refusal
    assert console.ok("config showrecurse") == before


def test_spellings_of_a_file_beside_the_main_file(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1", "b.conf": "x = 2"})
    for path in ("b.conf", "./b.conf", f"{tmp_path}/b.conf", f"{tmp_path}/./b.conf", "a.conf", f"{tmp_path}/a.conf"):
        assert console.ok(f"config reload {path}") == "Reconfigured"


def test_hangup_reads_the_file_of_the_start(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": 'Authorization { Role "x" { allow = ( ".*" ) } }'})
    console.ok("config writeback b.conf")
    console.ok("config reload b.conf")
    (tmp_path / "a.conf").write_text('Authorization { Role "x" { allow = ( "^pid$" ) } }')
    asyncio.run(console.store.reload(ConfigSession(), "SIGHUP", anew=True))
    assert console.ok("config get Authorization Role x allow") == 'allow = ( "^pid$" )'


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a hard link", "a pipe", "a folder"])
def test_only_a_plain_file_is_named(console_on: Opened, tmp_path: Path, kind: str) -> None:
    console = console_on({"a.conf": "x = 1", "theirs/b": "y = 1"})
    named = tmp_path / "b.conf"
    if kind.endswith(" link") and kind != "a hard link":
        named.symlink_to(tmp_path / "theirs" / ("b" if kind == "a link" else "none"))
    elif kind == "a hard link":
        named.hardlink_to(tmp_path / "theirs/b")
    elif kind == "a pipe":
        os.mkfifo(named)
    else:
        named.mkdir()
    assert "cannot be read" in console.refused("config reload b.conf")
    assert "nothing was written" in console.refused("config writeback b.conf --force")
    assert (tmp_path / "theirs/b").read_text() == "y = 1"
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["b"]


def test_a_file_of_others_is_not_named(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "x = 1", "b.conf": "x = 2"})
    (tmp_path / "b.conf").chmod(0o646)
    assert "expected a file that root, or this process's user, owns" in console.refused("config reload b.conf")
    assert console.ok("config get x") == "x = 1"


def test_file_that_is_not_ours_is_never_replaced(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "Password = s3cret", "b.conf": "# somebody's\n"})
    for force in ("", " --force"):
        assert "nothing was written" in console.refused(f"config writeback b.conf{force}")
    console.ok("config writeback c.conf")
    assert stat.S_IMODE((tmp_path / "c.conf").stat().st_mode) == 0o600
    (tmp_path / "c.conf").write_text("# somebody's\n")
    assert "nothing was written" in console.refused("config writeback c.conf --force")
    assert (tmp_path / "c.conf").read_text() == (tmp_path / "b.conf").read_text() == "# somebody's\n"


def test_exports_are_bounded(console_on: Opened) -> None:
    console = console_on({"a.conf": "x = 1"})
    for number in range(MAX_EXPORTS):
        console.ok(f"config writeback b{number}.conf")
    assert "has exported 20 files" in console.refused("config writeback c.conf")
    console.ok("config writeback b3.conf --force")


@pytest.mark.parametrize("name", ["mbus.conf", "msgc_server.conf", "MBUS.conf"])
def test_no_bus_file_is_made(console_on: Opened, name: str) -> None:
    console = console_on({"a.conf": "x = 1"})
    assert "would be read as a bus file" in console.refused(f"config writeback {name}")


def test_named_file_is_left_narrow(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": "include b.conf", "b.conf": "x = 1"})
    (tmp_path / "b.conf").chmod(0o666)
    console.ok("config set x = 2")
    assert console.ok("config writeback b.conf") == f"Wrote 1 change to {tmp_path}/b.conf"
    assert stat.S_IMODE((tmp_path / "b.conf").stat().st_mode) == 0o640


def test_names_need_a_main_file() -> None:
    console = Console(Store.open(None))
    for command in ("reload", "writeback"):
        assert "was started without a file (-c FILE)" in console.refused(f"config {command} /etc/x.conf")


def test_faults_quote_no_file_outside_of_the_folder(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"etc/main.conf": "x = 1", "other/b": "cluster { max_jobs = hunter2 }"})
    main = tmp_path / "etc/main.conf"
    main.write_text(f"include {tmp_path}/other/b\ncluster {{ max_jobs = quoted }}")
    refusal = console.refused("config reload")
    assert f"{tmp_path}/other/b:1:22: not as the grammar or the schema has it" in refusal
    assert "hunter2" not in refusal
    assert "max_jobs is 'quoted', expected a whole number" in refusal


def test_link_as_local_changes_file_is_not_followed(console_on: Opened, tmp_path: Path) -> None:
    console = console_on({"a.conf": 'Local_Changes_File = "l.conf"\nreadonly_include b.conf', "b.conf": "f { x = 1 }"})
    victim = tmp_path / "victim"
    victim.write_text("x = 1\n")
    victim.chmod(0o604)
    (tmp_path / "l.conf").symlink_to(victim)
    assert "cannot be read" in console.refused("config reload")
    console.ok("config set f x = 2")
    console.refused("config writeback")
    console.refused("config writeback --force")
    DiskFiles().replace({str(tmp_path / "l.conf"): b""})
    assert victim.read_text() == "x = 1\n"
    assert stat.S_IMODE((tmp_path / "l.conf").lstat().st_mode) == 0o640


@pytest.mark.parametrize(("mode", "guarded"), [(0o600, True), (0o644, True), (0o646, False), (0o660, True)])
def test_guarded_file_is_ours_alone_to_write(tmp_path: Path, mode: int, guarded: bool) -> None:
    path = write(tmp_path, {"a": "x = 1"})
    path.chmod(mode)
    assert DiskFiles().examine(str(path)).guarded is guarded


@as_root
@pytest.mark.parametrize(
    ("user", "group", "mode", "guarded"),
    [(0, 4321, 0o640, True), (0, 4321, 0o660, False), (1234, 0, 0o600, False)],
)
def test_a_file_of_another_user_is_not_guarded(tmp_path: Path, user: int, group: int, mode: int, guarded: bool) -> None:
    path = write(tmp_path, {"a": "x = 1"})
    os.chown(path, user, group)
    path.chmod(mode)
    assert DiskFiles().examine(str(path)).guarded is guarded


@as_root
@pytest.mark.parametrize(
    ("user", "group", "mode", "guarded"),
    [
        (1234, 4321, 0o664, True),
        (0, 0, 0o644, True),
        (1234, 99, 0o664, False),
        (1234, 4321, 0o666, False),
        (99, 4321, 0o644, False),
    ],
)
def test_ordinary_user_has_guarded_files_too(tmp_path: Path, user: int, group: int, mode: int, guarded: bool) -> None:
    path = write(tmp_path, {"a": "x = 1"})
    os.chown(path, user, group)
    path.chmod(mode)
    os.setegid(4321)
    os.seteuid(1234)
    try:
        files = DiskFiles()
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert files.examine(str(path)).guarded is guarded
