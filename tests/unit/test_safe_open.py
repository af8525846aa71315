"""Files are opened only where no other user can have put a link or a file."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from eccmgr.host.safe_open import find_folder, open_file, open_folder

STRANGER = 65534
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def shared(folder: Path) -> Path:
    """A folder where everybody may write, as /tmp, inside a folder where only root may write."""
    folder.chmod(0o755)
    made = folder / "shared"
    made.mkdir()
    made.chmod(0o1777)
    return made


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def _hard_link(path: Path) -> None:
    os.link(path.parent.parent / "victim", path)


def _strangers(path: Path) -> None:
    path.touch()
    os.chown(path, STRANGER, STRANGER)


def _device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (_link, "it is a symbolic link"),
        (_hard_link, "it has a second name (a hard link)"),
        (_strangers, "it belongs to nobody"),
        (os.mkfifo, "it is not a regular file"),
        (_device, "it is not a regular file"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_what_a_stranger_put_there_is_refused(shared: Path, put: Callable[[Path], None], said: str) -> None:
    (shared.parent / "victim").write_text("precious")
    put(shared / "log")
    with pytest.raises(OSError, match=re.escape(said)):
        open_file(shared / "log", APPEND | os.O_TRUNC)
    assert (shared.parent / "victim").read_text() == "precious"


def test_a_new_file_has_its_mode_at_once(shared: Path) -> None:
    before = os.umask(0)
    try:
        made: list[Path] = []
        os.close(open_file(shared / "new", APPEND, 0o640, made=made))
        os.close(open_file(shared / "new", APPEND, 0o666, made=made))
    finally:
        os.umask(before)
    assert stat.S_IMODE((shared / "new").stat().st_mode) == 0o640
    assert made == [shared / "new"]


def test_missing_file_is_not_made_unasked(shared: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_file(shared / "none", os.O_RDONLY)


def test_a_strangers_folder_is_not_entered(folder: Path) -> None:
    (folder / "his" / "deep").mkdir(parents=True)
    os.chown(folder / "his", STRANGER, STRANGER)
    for path in (folder / "his" / "log", folder / "his" / "deep" / "log", folder / "his" / "new" / "log"):
        with pytest.raises(PermissionError, match="/his belongs to nobody, who can replace what is in it"):
            open_file(path, APPEND, made=[])
    assert [each.name for each in (folder / "his").iterdir()] == ["deep"]


def test_folder_for_everybody_must_be_sticky(folder: Path) -> None:
    (folder / "all").mkdir()
    (folder / "all").chmod(0o777)
    with pytest.raises(PermissionError, match="/all: it is writable for all, and not sticky"):
        open_file(folder / "all" / "log", APPEND)


def test_links_to_folders_are_followed_unless_strangers(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "absolute").symlink_to(folder / "real")
    (folder / "relative").symlink_to("absolute/../real")
    os.close(open_file(folder / "relative" / "log", APPEND))
    assert (folder / "real" / "log").exists()
    os.chown(folder / "absolute", STRANGER, STRANGER, follow_symlinks=False)
    with pytest.raises(PermissionError, match="/absolute is a link of nobody's"):
        open_file(folder / "relative" / "log", APPEND)


def test_a_ring_of_links_ends(folder: Path) -> None:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        open_folder(folder / "a")


def test_missing_folders_are_made_and_named(folder: Path) -> None:
    made: list[Path] = []
    open_folder(folder / "a" / "b", made).close()
    assert made == [folder / "a", folder / "a" / "b"]
    with pytest.raises(FileNotFoundError):
        open_folder(folder / "c")


def test_folder_of_a_trusted_user_is_no_risk(folder: Path) -> None:
    (folder / "his").mkdir()
    os.chown(folder / "his", STRANGER, STRANGER)
    with find_folder(folder / "his") as found:
        assert found.risk
        assert found.others_write
    with find_folder(folder / "his", {STRANGER}) as found:
        assert not found.risk
        assert not found.others_write


def test_only_a_log_may_be_a_pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.close(open_file(folder / "pipe", APPEND, pipes=True))
    os.close(reader)
    os.close(open_file(Path("/dev/null"), APPEND, pipes=True))
    (folder / "nowhere").symlink_to("/dev/null")
    os.close(open_file(folder / "nowhere", APPEND, pipes=True))
    with pytest.raises(PermissionError, match="it is not a regular file"):
        open_file(Path("/dev/zero"), APPEND, pipes=True)
    with pytest.raises(PermissionError, match="it is not a regular file"):
        open_file(folder / "pipe", APPEND)
